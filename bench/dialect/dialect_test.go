package dialect_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"cairn/bench/dialect"
)

// A client is what the three wire formats have in common.
type client interface {
	AppendGet(dst, key []byte) []byte
	AppendGetMulti(dst []byte, keys [][]byte) []byte
	AppendStore(dst []byte, verb dialect.Verb, key, value []byte, flags uint32, exptime int64) []byte
	AppendTouch(dst, key []byte, exptime int64) []byte
	AppendDelete(dst, key []byte) []byte
	AppendQuit(dst []byte) []byte
	Next(buf []byte) (dialect.Reply, int, error)
}

var clients = map[string]client{
	"text":   dialect.Text{},
	"meta":   dialect.Meta{},
	"binary": dialect.Binary{},
}

func TestMemcachedRequests(t *testing.T) {
	key, value := []byte("k"), []byte("abc")
	keys := [][]byte{[]byte("a"), []byte("bc")}
	for name, want := range map[string][]string{
		"text": {
			"get k\r\n", "get a bc\r\n",
			"set k 7 60 3\r\nabc\r\n", "add k 7 60 3\r\nabc\r\n", "replace k 7 60 3\r\nabc\r\n",
			"touch k 60\r\n", "delete k\r\n", "quit\r\n",
		},
		"meta": {
			"mg k v f\r\n", "mg a v f k q\r\nmg bc v f k q\r\nmn\r\n",
			"ms k 3 F7 T60\r\nabc\r\n", "ms k 3 ME F7 T60\r\nabc\r\n", "ms k 3 MR F7 T60\r\nabc\r\n",
			"mg k T60\r\n", "md k\r\n", "quit\r\n",
		},
		"binary": {
			unhex("80 00 0001 00 00 0000 00000001 00000000 0000000000000000 6b"),
			unhex("80 0d 0001 00 00 0000 00000001 00000000 0000000000000000 61" +
				"80 0d 0002 00 00 0000 00000002 00000000 0000000000000000 6263" +
				"80 0a 0000 00 00 0000 00000000 00000000 0000000000000000"),
			unhex("80 01 0001 08 00 0000 0000000c 00000000 0000000000000000 00000007 0000003c 6b 616263"),
			unhex("80 02 0001 08 00 0000 0000000c 00000000 0000000000000000 00000007 0000003c 6b 616263"),
			unhex("80 03 0001 08 00 0000 0000000c 00000000 0000000000000000 00000007 0000003c 6b 616263"),
			unhex("80 1c 0001 04 00 0000 00000005 00000000 0000000000000000 0000003c 6b"),
			unhex("80 04 0001 00 00 0000 00000001 00000000 0000000000000000 6b"),
			unhex("80 07 0000 00 00 0000 00000000 00000000 0000000000000000"),
		},
	} {
		c := clients[name]
		got := []string{
			string(c.AppendGet(nil, key)),
			string(c.AppendGetMulti(nil, keys)),
			string(c.AppendStore(nil, dialect.Set, key, value, 7, 60)),
			string(c.AppendStore(nil, dialect.Add, key, value, 7, 60)),
			string(c.AppendStore(nil, dialect.Replace, key, value, 7, 60)),
			string(c.AppendTouch(nil, key, 60)),
			string(c.AppendDelete(nil, key)),
			string(c.AppendQuit(nil)),
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s request %d: %q, want %q", name, i, got[i], want[i])
			}
		}
	}
}

// A stream of replies must read the same however the network cuts it.
func TestMemcachedReplies(t *testing.T) {
	for _, test := range []struct{ client, stream, want string }{
		{"text", "VALUE k 7 3\r\nabc\r\nVALUE bc 0 0 99\r\n\r\nEND\r\n",
			"value k=abc 7/0, value bc= 0/99, end!"},
		{"text", "STORED\r\nTOUCHED\r\nDELETED\r\nOK\r\nNOT_STORED\r\nNOT_FOUND\r\nEXISTS\r\nVERSION 1.6\r\n",
			"ok!, ok!, ok!, ok!, not stored!, not found!, exists!, ok 1.6!"},
		{"text", "STAT threads 4 x\r\nEND\r\nSERVER_ERROR out of memory\r\nERROR\r\n",
			"value threads=4 x 0/0, end!, failed SERVER_ERROR out of memory!, failed ERROR!"},
		{"meta", "VA 3 f7 c9 kbc\r\nabc\r\nMN\r\nVA 0 f1\r\n\r\nEN\r\nHD\r\nNS\r\nEX\r\nNF\r\nCLIENT_ERROR bad\r\n",
			"value bc=abc 7/9, end!, value =! 1/0, not found!, ok!, not stored!, exists!, not found!, failed CLIENT_ERROR bad!"},
		{"binary", unhex("81 00 0000 04 00 0000 00000007 00000000 0000000000000009 00000007 616263" +
			"81 0d 0001 04 00 0000 00000006 00000000 0000000000000001 00000000 6b 61" +
			"81 0a 0000 00 00 0000 00000000 00000000 0000000000000000" +
			"81 00 0000 00 00 0001 00000003 00000000 0000000000000000 616263" +
			"81 02 0000 00 00 0002 00000000 00000000 0000000000000000" +
			"81 01 0000 00 00 0002 00000000 00000000 0000000000000000" +
			"81 01 0000 00 00 0000 00000000 00000000 0000000000000005" +
			"81 01 0000 00 00 0082 00000001 00000000 0000000000000000 78"),
			"value =abc! 7/9, value k=a 0/1, end!, not found abc!, not stored!, exists!, ok!, failed x!"},
	} {
		for chunk := 1; chunk <= len(test.stream); chunk++ {
			got, err := describe(clients[test.client], test.stream, chunk)
			if err != nil || got != test.want {
				t.Fatalf("%s in chunks of %d: %q, %v; want %q", test.client, chunk, got, err, test.want)
			}
		}
	}
}

func TestMemcachedRefusesNonsense(t *testing.T) {
	for _, test := range []struct{ client, stream string }{
		{"text", "HELLO\r\n"}, {"text", "END\n"}, {"text", "\n"},
		{"text", "VALUE k 7 x\r\n"}, {"text", "VALUE k 4294967296 1\r\na\r\n"},
		{"text", "VALUE k 0 1\r\nabc\r\n"}, {"text", "VALUE k 0 1 x\r\na\r\n"},
		{"text", strings.Repeat("A", 9000)},
		{"text", "VALUE k 0 99999999999\r\n"},
		{"meta", "VALUE k 7 1\r\na\r\n"}, {"meta", "VA x\r\n"}, {"meta", "VA 1 fx\r\na\r\n"},
		{"meta", "VA 1\r\nab\r\n"}, {"meta", "VA 0 c-1\r\n\r\n"},
		{"binary", "END\r\n"}, {"binary", unhex("80 00 0000 00 00 0000 00000000 00000000 0000000000000000")},
		{"binary", unhex("81 00 0002 04 00 0000 00000005 00000000 0000000000000000 0000000000")},
		{"binary", unhex("81 00 0000 00 00 0000 ffffffff 00000000 0000000000000000")},
	} {
		if _, n, err := clients[test.client].Next([]byte(test.stream)); err == nil || n != 0 {
			t.Errorf("%s took %q: %d bytes, %v", test.client, test.stream, n, err)
		}
	}
}

func FuzzMemcachedNext(f *testing.F) {
	f.Add([]byte("VALUE k 7 3 1\r\nabc\r\nEND\r\n"))
	f.Add([]byte("VA 3 f7 c9 kbc\r\nabc\r\nMN\r\n"))
	f.Add([]byte(unhex("81 00 0000 04 00 0000 00000007 00000000 0000000000000009 00000007 616263")))
	f.Fuzz(func(t *testing.T, buf []byte) {
		for name, c := range clients {
			reply, n, err := c.Next(buf)
			if n < 0 || n > len(buf) || (err != nil && n != 0) || (n > 0) != (reply.Status != 0) {
				t.Fatalf("%s: %+v, %d of %d bytes, %v", name, reply, n, len(buf), err)
			}
			if n == 0 {
				continue
			}
			// The reply depends on its own bytes alone.
			again, m, err := c.Next(bytes.Clone(buf[:n]))
			if err != nil || m != n || !bytes.Equal(again.Value, reply.Value) || again.Status != reply.Status {
				t.Fatalf("%s: %+v and then %+v, %d, %v", name, reply, again, m, err)
			}
		}
	})
}

// describe feeds stream to c in chunks and puts the replies into words.
func describe(c client, stream string, chunk int) (string, error) {
	words := map[dialect.Status]string{
		dialect.OK: "ok", dialect.Value: "value", dialect.End: "end",
		dialect.NotFound: "not found", dialect.NotStored: "not stored",
		dialect.Exists: "exists", dialect.Failed: "failed",
	}
	var got []string
	var buf []byte
	for len(stream) > 0 {
		size := min(chunk, len(stream))
		buf = append(buf, stream[:size]...)
		stream = stream[size:]
		for {
			r, n, err := c.Next(buf)
			if err != nil {
				return "", err
			}
			if n == 0 {
				break
			}
			text := words[r.Status]
			if r.Status == dialect.Value {
				text += fmt.Sprintf(" %s=", r.Key)
			} else if len(r.Value) > 0 {
				text += " "
			}
			text += string(r.Value)
			if r.Last {
				text += "!"
			}
			if r.Status == dialect.Value {
				text += fmt.Sprintf(" %d/%d", r.Flags, r.CAS)
			}
			got = append(got, text)
			buf = buf[n:]
		}
	}
	if len(buf) > 0 {
		return "", fmt.Errorf("left over: %q", buf)
	}
	return strings.Join(got, ", "), nil
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}
