// Package recorded keeps what a memcached of another version answered, so that
// tests can compare with it where that version cannot be had. Recordings are made
// by memcachedfront/testdata/record.
package recorded

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Version is the version of memcached that is recorded, the one that Cairn answers
// as.
const Version = "1.6.45"

// programEnv names the memcached to record; tests write their recordings anew if it
// is set.
const programEnv = "CAIRN_RECORD_MEMCACHED"

// Program is the path of the memcached to record, or "".
func Program() string { return os.Getenv(programEnv) }

// An Exchange is what was said to a server and what it answered. Both are bytes;
// the request may also be a name for what was said.
type Exchange struct{ Request, Answer string }

// Path is where the recording with this name is, seen from the folder of a test.
func Path(name string) string {
	return filepath.Join("testdata", "memcached-"+Version, name+".txt")
}

// Write stores a recording at path: a line for each request and each answer.
func Write(path string, exchanges []Exchange) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Recorded from memcached %s by memcachedfront/testdata/record. Do not edit.\n", Version)
	for _, e := range exchanges {
		fmt.Fprintf(&out, "> %q\n< %q\n", e.Request, e.Answer)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// Read returns the recording at path, in its order.
func Read(path string) (exchanges []Exchange, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for n := 1; lines.Scan(); n++ {
		kind, quoted, _ := strings.Cut(lines.Text(), " ")
		if kind == "#" {
			continue
		}
		text, err := strconv.Unquote(quoted)
		switch {
		case err == nil && kind == ">":
			exchanges = append(exchanges, Exchange{Request: text})
		case err == nil && kind == "<" && len(exchanges) > 0:
			exchanges[len(exchanges)-1].Answer = text
		default:
			return nil, fmt.Errorf("%s:%d: neither a request nor an answer", path, n)
		}
	}
	return exchanges, lines.Err()
}
