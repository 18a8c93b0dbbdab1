package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Sessions are written through pymemcache while the server is killed with -9
// in the middle. Every one that was acknowledged, before the kill and after
// it, comes back byte for byte.
func TestKillWhileWriting(t *testing.T) {
	t.Parallel()
	needModule(t, "pymemcache")
	const count, size, kills = 5_000, "2048", 3
	srv := startServer(t)
	writer := startDialogue(t, nil, python, "python/bulk_sessions.py", "write", srv.addr, fmt.Sprint(count), size)
	var acknowledged bytes.Buffer
	for i := 1; i <= count; i++ {
		line, err := writer.line.ReadString('\n')
		if err != nil {
			t.Fatalf("the writer ended after %d sessions: %v", i-1, err)
		}
		acknowledged.WriteString(line)
		if i%(count/(kills+1)) == 0 && i < count {
			srv.restart()
		}
	}
	srv.restart()
	verify := exec.Command(python, "python/bulk_sessions.py", "verify", srv.addr, "0", size)
	verify.Stdin = &acknowledged
	wrong, err := verify.CombinedOutput()
	if err != nil || len(wrong) > 0 {
		t.Errorf("acknowledged sessions that are lost or damaged: %.2000s (%v)", wrong, err)
	}
}

// After kill -9 with many sessions on disk, the first reply comes, it is the
// right one, and nothing is missing. How long it took is logged.
func TestRestartWithManySessions(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	fill(t, srv, *sessions)
	srv.kill9()
	began := time.Now()
	srv.start()
	reply := srv.text(fmt.Sprintf("get session:%d\r\n", *sessions-1))
	t.Logf("%d sessions: first reply %v after exec", *sessions, time.Since(began).Round(time.Millisecond))
	if want := fmt.Sprintf("VALUE session:%d 0 1000\r\n%s\r\nEND\r\n", *sessions-1, body(*sessions-1)); reply != want {
		t.Errorf("the last session reads %q", reply)
	}
	if got := readBack(t, srv, *sessions); got != *sessions {
		t.Errorf("%d of %d sessions came back", got, *sessions)
	}
}

// body is the value of session i, 1000 bytes.
func body(i int) string {
	return strings.Repeat(fmt.Sprintf("%010d", i), 100)
}

// fill writes n sessions over one connection. The last one is acknowledged,
// and with it all before.
func fill(t *testing.T, srv *server, n int) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := bufio.NewWriterSize(conn, 1<<16)
	for i := range n {
		quiet := " noreply"
		if i == n-1 {
			quiet = ""
		}
		fmt.Fprintf(w, "set session:%d 0 7200 1000%s\r\n%s\r\n", i, quiet, body(i))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if reply, err := bufio.NewReader(conn).ReadString('\n'); reply != "STORED\r\n" {
		t.Fatalf("the last set was answered %q, %v", reply, err)
	}
}

// readBack counts the sessions that are there and right.
func readBack(t *testing.T, srv *server, n int) (found int) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 1<<16)
	const batch = 50
	for from := 0; from < n; from += batch {
		var request, want strings.Builder
		request.WriteString("get")
		for i := from; i < min(from+batch, n); i++ {
			fmt.Fprintf(&request, " session:%d", i)
			fmt.Fprintf(&want, "VALUE session:%d 0 1000\r\n%s\r\n", i, body(i))
		}
		want.WriteString("END\r\n")
		if _, err := io.WriteString(conn, request.String()+"\r\n"); err != nil {
			t.Fatal(err)
		}
		found += countRight(t, r, want.String())
	}
	return found
}

// countRight reads the reply to a get and counts the items in it; it fails
// the test where the reply is not a subsequence of want.
func countRight(t *testing.T, r *bufio.Reader, want string) (items int) {
	t.Helper()
	for {
		header, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if header == "END\r\n" {
			return items
		}
		value := make([]byte, 1002)
		if _, err := io.ReadFull(r, value); err != nil || !strings.Contains(want, header+string(value)) {
			t.Fatalf("%q has the value %.80q, %v", header, value, err)
		}
		items++
	}
}
