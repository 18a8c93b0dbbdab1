package dialect_test

import (
	"strings"
	"testing"

	"cairn/bench/dialect"
)

// TestReplicated sees that no reply of an exchange that writes is returned before that to
// WAIT, however the bytes are cut, and that a write which no replica has is refused.
func TestReplicated(t *testing.T) {
	key, value := []byte("k"), []byte("abc")
	for _, test := range []struct{ name, replies, want string }{
		{"a replica has it", "+OK\r\n$3\r\nabc\r\n+OK\r\n:2\r\n", "1 2abc 1 "},
		{"none has it", "+OK\r\n$3\r\nabc\r\n+OK\r\n:0\r\n", "7no replica has the write 7no replica has the write 7no replica has the write "},
		{"it is refused", "-ERR no\r\n$-1\r\n+OK\r\n:1\r\n", "7ERR no 4 1 "},
	} {
		for chunk := 1; chunk <= len(test.replies); chunk++ {
			var c dialect.Replicated
			asked := string(c.AppendEnd(c.AppendStore(c.AppendGet(c.AppendStore(nil, dialect.Set, key, value, 0, 0), key), dialect.Set, key, value, 0, 60)))
			if !strings.HasSuffix(asked, array("WAIT 1 10000")) || strings.Count(asked, "WAIT") != 1 {
				t.Fatalf("%q", asked)
			}
			got := ""
			buf := readInChunks(t, &c, test.replies, chunk, func(r dialect.Reply, rest string) {
				if rest != "" {
					t.Fatalf("%s: a reply before that to WAIT", test.name)
				}
				got += string('0'+byte(r.Status)) + strings.TrimPrefix(string(r.Value), "OK") + " "
			})
			if got != test.want || len(buf) > 0 {
				t.Fatalf("%s: in chunks of %d: %q, %d bytes left; want %q", test.name, chunk, got, len(buf), test.want)
			}
		}
	}
	var c dialect.Replicated
	if asked := string(c.AppendEnd(c.AppendGet(nil, key))); asked != array("GET k") {
		t.Errorf("%q", asked)
	}
	if r, n, err := c.Next([]byte("$3\r\nabc\r\n")); n != 9 || err != nil || r.Status != dialect.Value {
		t.Errorf("%+v, %d, %v", r, n, err)
	}
}
