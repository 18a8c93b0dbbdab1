package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cairn/resp"
)

func TestCommands(t *testing.T) {
	for got, want := range map[string]string{
		string(resp.AppendCommand(nil, "GET", "k")):            "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
		string(resp.AppendCommand(nil, []byte("a\r\n"), nil)):  "*2\r\n$3\r\na\r\n\r\n$0\r\n\r\n",
		string(resp.AppendBulkInteger([]byte("x"), -12)):       "x$3\r\n-12\r\n",
		string(resp.AppendBulk(resp.AppendArray(nil, 1), "v")): "*1\r\n$1\r\nv\r\n",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Both ways to read must understand the same, and Next however the network
// cuts it.
func TestReplies(t *testing.T) {
	for stream, want := range map[string]string{
		"+OK\r\n":                  `+"OK"`,
		"+\r\n":                    `+""`,
		"-ERR no\r\n":              `-"ERR no"`,
		":-7\r\n":                  ":-7",
		"$3\r\na\r\n\r\n":          `$"a\r\n"`,
		"$0\r\n\r\n":               `$""`,
		"$-1\r\n":                  "$null",
		"*-1\r\n":                  "*null",
		"*0\r\n":                   "*0[]",
		"*2\r\n:1\r\n*1\r\n+a\r\n": `*2[:1 *1[+"a"]]`,
	} {
		v, err := resp.NewReader(iotest.OneByteReader(strings.NewReader(stream))).Read()
		if got := describe(v); err != nil || got != want {
			t.Errorf("%q: read as %s, %v; want %s", stream, got, err, want)
		}
		for cut := range stream {
			if _, n, err := resp.Next([]byte(stream[:cut])); err != nil || n > cut {
				t.Errorf("%q cut: %d, %v", stream[:cut], n, err)
			}
		}
		if n, got := composed(t, []byte(stream), 0); n != len(stream) || got != want {
			t.Errorf("%q: Next reads %s of %d bytes, want %s", stream, got, n, want)
		}
	}
}

func describe(v resp.Value) string {
	switch {
	case v.Null:
		return string(v.Kind) + "null"
	case v.Kind == resp.Integer:
		return fmt.Sprintf(":%d", v.Number)
	case v.Kind == resp.Array:
		parts := make([]string, len(v.Elements))
		for i, e := range v.Elements {
			parts[i] = describe(e)
		}
		return fmt.Sprintf("*%d[%s]", v.Number, strings.Join(parts, " "))
	}
	return fmt.Sprintf("%c%q", v.Kind, v.Text)
}

func TestNonsenseIsRefused(t *testing.T) {
	deep := strings.Repeat("*1\r\n", resp.MaxDepth+1) + ":1\r\n"
	for _, stream := range []string{
		"OK\r\n", "\r\n", "\n", "+OK\n", "$x\r\n", "$\r\n", "$-2\r\n", "*-2\r\n", "$3\r\nabcd\r\n", "$1\r\na\n\r\n",
		"$9999999999\r\n", "*1048577\r\n", ":9223372036854775808\r\n", strings.Repeat("+", 9000), deep,
	} {
		if v, err := resp.NewReader(strings.NewReader(stream)).Read(); !errors.Is(err, resp.ErrMalformed) {
			t.Errorf("read %.50q as %s, %v", stream, describe(v), err)
		}
		if stream == deep {
			continue // Next knows no depth
		}
		if e, n, err := resp.Next([]byte(stream)); !errors.Is(err, resp.ErrMalformed) || n != 0 {
			t.Errorf("took %.50q: %+v, %d, %v", stream, e, n, err)
		}
	}
}

// A stream that breaks off is not one that ends.
func TestStreamsThatBreakOff(t *testing.T) {
	if _, err := resp.NewReader(strings.NewReader("")).Read(); err != io.EOF {
		t.Error(err)
	}
	const whole = "*2\r\n$3\r\nabc\r\n:1\r\n"
	for n := 1; n < len(whole); n++ {
		if _, err := resp.NewReader(strings.NewReader(whole[:n])).Read(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", whole[:n], err)
		}
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	v, err := resp.NewReader(strings.NewReader("-NOPERM x\r\n")).Read()
	var refusal resp.Refusal
	if err != nil || !errors.As(v.Err(), &refusal) || refusal.Error() != "NOPERM x" {
		t.Errorf("%v, %v", v.Err(), err)
	}
	if err := (resp.Value{}).Err(); err != nil {
		t.Error(err)
	}
}

// Whatever arrives is either refused or read alike by Next and by a Reader, and
// a command reads back as its words.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n$-1\r\n:1\r\n+OK\r\n"))
	f.Add([]byte("-ERR\r\n$0\r\n\r\n*0\r\n*-1\r\n"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		checkCommand(t, buf)
		reader := resp.NewReader(bytes.NewReader(buf))
		for {
			v, err := reader.Read()
			if err != nil {
				return
			}
			n, text := composed(t, buf, 0)
			if text != describe(v) {
				t.Fatalf("%q: Next reads %s, Reader %s", buf, text, describe(v))
			}
			buf = buf[n:]
		}
	})
}

func checkCommand(t *testing.T, word []byte) {
	v, err := resp.NewReader(bytes.NewReader(resp.AppendCommand(nil, word, []byte("x")))).Read()
	if err != nil || len(v.Elements) != 2 || !bytes.Equal(v.Elements[0].Text, word) {
		t.Fatalf("%q came back as %s, %v", word, describe(v), err)
	}
}

// composed reads a value with Next, to which the Reader found no objection.
func composed(t *testing.T, buf []byte, depth int) (n int, text string) {
	e, n, err := resp.Next(buf)
	if err != nil || n == 0 || depth > resp.MaxDepth {
		t.Fatalf("%q: %d, %v", buf, n, err)
	}
	v := resp.Value{Element: e}
	if e.Kind != resp.Array || e.Null {
		return n, describe(v)
	}
	var parts []string
	for range e.Number {
		taken, part := composed(t, buf[n:], depth+1)
		n, parts = n+taken, append(parts, part)
	}
	return n, fmt.Sprintf("*%d[%s]", e.Number, strings.Join(parts, " "))
}
