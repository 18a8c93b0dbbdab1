package dialect_test

import (
	"fmt"
	"strings"
	"testing"

	"cairn/bench/dialect"
)

func TestRedisRequests(t *testing.T) {
	var c dialect.Redis
	k, v := []byte("k"), []byte("abc")
	for _, test := range []struct{ got, want string }{
		{string(c.AppendGet(nil, k)), "GET k"},
		{string(c.AppendGetMulti(nil, [][]byte{[]byte("a"), []byte("bc")})), "MGET a bc"},
		{string(c.AppendStore(nil, dialect.Set, k, v, 7, 0)), "SET k abc"},
		{string(c.AppendStore(nil, dialect.Set, k, v, 7, 60)), "SET k abc EX 60"},
		{string(c.AppendStore(nil, dialect.Add, k, v, 7, 60)), "SET k abc NX EX 60"},
		{string(c.AppendStore(nil, dialect.Replace, k, v, 7, 2_000_000_000)), "SET k abc XX EXAT 2000000000"},
		{string(c.AppendTouch(nil, k, 60)), "EXPIRE k 60"},
		{string(c.AppendTouch(nil, k, 2_000_000_000)), "EXPIREAT k 2000000000"},
		{string(c.AppendTouch(nil, k, 0)), "PERSIST k"},
		{string(c.AppendDelete(nil, k)), "DEL k"},
		{string(c.AppendPing(nil)), "PING"},
		{string(c.AppendQuit(nil)), "QUIT"},
	} {
		if want := array(test.want); test.got != want {
			t.Errorf("%q, want %q", test.got, want)
		}
	}
}

// array encodes words as Redis wants a command.
func array(command string) string {
	words := strings.Fields(command)
	out := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		out += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	return out
}

// readInChunks lets a client read replies that arrive in chunks of so many bytes. take is
// told of each, and what of the stream has not arrived. It returns what is left unread.
func readInChunks(t *testing.T, c interface {
	Next(in []byte) (dialect.Reply, int, error)
}, stream string, chunk int, take func(r dialect.Reply, rest string)) (buf []byte) {
	t.Helper()
	for rest := stream; rest != ""; {
		size := min(chunk, len(rest))
		buf, rest = append(buf, rest[:size]...), rest[size:]
		for {
			r, n, err := c.Next(buf)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			take(r, rest)
			buf = buf[n:]
		}
	}
	return buf
}

func TestRedisRepliesHoweverTheyAreCut(t *testing.T) {
	const stream = "+OK\r\n$3\r\nabc\r\n$-1\r\n:1\r\n:0\r\n-ERR no\r\n" +
		"*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n" + "+PONG\r\n"
	want := []string{"ok OK!", "value abc!", "not found !", "ok !", "not found !", "failed ERR no!",
		"value a", "not found ", "value !", "ok PONG!"}
	words := map[dialect.Status]string{dialect.OK: "ok", dialect.Value: "value",
		dialect.NotFound: "not found", dialect.Failed: "failed"}
	for chunk := 1; chunk <= len(stream); chunk++ {
		var c dialect.Redis
		var got []string
		readInChunks(t, &c, stream, chunk, func(r dialect.Reply, _ string) {
			text := words[r.Status] + " " + string(r.Value)
			if r.Last {
				text += "!"
			}
			got = append(got, text)
		})
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Fatalf("in chunks of %d: %q, want %q", chunk, got, want)
		}
	}
}

func TestRedisNonsenseIsRefused(t *testing.T) {
	for _, stream := range []string{"OK\r\n", "\r\n", "+OK\n", "$x\r\n", "$-2\r\n", "$3\r\nabcd\r\n",
		"*0\r\n", "*1\r\n*1\r\n", "*-1\r\n", "$9999999999\r\n", strings.Repeat("+", 9000)} {
		var c dialect.Redis
		if r, n, err := c.Next([]byte(stream)); err == nil || n != 0 {
			t.Errorf("took %q: %+v, %d", stream, r, n)
		}
	}
}

func FuzzRedisNext(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n$-1\r\n:1\r\n+OK\r\n"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		var c dialect.Redis
		for {
			reply, n, err := c.Next(buf)
			if n < 0 || n > len(buf) || (err != nil && n != 0) || (n > 0) != (reply.Status != 0) {
				t.Fatalf("%+v, %d of %d bytes, %v", reply, n, len(buf), err)
			}
			if n == 0 {
				return
			}
			buf = buf[n:]
		}
	})
}
