package upstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cairn/migrate"
)

// oldStore is a real server that sessions are moved from.
type oldStore struct {
	t    *testing.T
	addr string
	name string // of its program
	args []string
	cmd  *exec.Cmd
}

// startOld runs memcached or redis-server on a free loopback port until the test
// ends.
func startOld(t *testing.T, name string, args ...string) *oldStore {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &oldStore{t: t, addr: ln.Addr().String(), name: name}
	_, port, _ := net.SplitHostPort(o.addr)
	ln.Close()
	o.args = []string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0"}
	if name == "redis-server" {
		o.args = []string{"--port", port, "--save", "", "--appendonly", "no"}
	}
	o.args = append(o.args, args...)
	o.start()
	t.Cleanup(o.kill)
	return o
}

func (o *oldStore) start() {
	o.t.Helper()
	o.cmd = exec.Command(o.name, o.args...)
	o.cmd.Dir = o.t.TempDir()
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	for range 6000 {
		if nc, err := net.Dial("tcp", o.addr); err == nil {
			nc.Close()
			return
		}
		time.Sleep(10 * time.Millisecond) // until the other process listens
	}
	o.t.Fatalf("nobody listens on %s", o.addr)
}

func (o *oldStore) kill() {
	o.cmd.Process.Kill()
	o.cmd.Wait()
}

func (o *oldStore) source() *migrate.Source {
	o.t.Helper()
	kind := "memcached://"
	if o.name == "redis-server" {
		kind = "redis://"
	}
	s, err := migrate.OpenSource(kind+o.addr, migrate.Credentials{}, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// ask sends a request of memcached's and returns the answer up to the line that
// begins with last.
func (o *oldStore) ask(request string, last ...string) string {
	o.t.Helper()
	nc, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, request)
	var answer strings.Builder
	in := bufio.NewScanner(nc)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		answer.WriteString(in.Text() + "\n")
		for _, l := range last {
			if strings.HasPrefix(in.Text(), l) {
				return answer.String()
			}
		}
	}
	o.t.Fatalf("%q ends after %q", request, answer.String())
	return ""
}

func (o *oldStore) set(key, value string, flags uint32, seconds int) {
	o.t.Helper()
	if o.name == "redis-server" {
		request := fmt.Sprintf("SET %s %s", key, value)
		if seconds > 0 {
			request += fmt.Sprint(" EX ", seconds)
		}
		o.ask(request+"\r\n", "+OK")
		return
	}
	o.ask(fmt.Sprintf("set %s %d %d %d\r\n%s\r\n", key, flags, seconds, len(value), value), "STORED")
}

// get returns a value, "" if there is none.
func (o *oldStore) get(key string) string {
	o.t.Helper()
	if o.name == "redis-server" {
		answer := o.ask("EXISTS "+key+"\r\nGET "+key+"\r\nPING\r\n", "+PONG")
		lines := strings.Split(answer, "\n")
		if lines[0] == ":0" {
			return ""
		}
		return lines[2]
	}
	lines := strings.Split(o.ask("get "+key+"\r\n", "END"), "\n")
	if lines[0] == "END" {
		return ""
	}
	return lines[1]
}

// silent is an old store that says nothing once it was greeted, until it is told to.
type silent struct {
	addr  string
	asked chan string // what it was asked
	speak chan struct{}
}

func startSilent(t *testing.T) *silent {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &silent{addr: ln.Addr().String(), asked: make(chan string, 1000), speak: make(chan struct{})}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(nc)
		}
	}()
	return s
}

func (s *silent) serve(nc net.Conn) {
	defer nc.Close()
	for in := bufio.NewScanner(nc); in.Scan(); {
		switch line := in.Bytes(); {
		case bytes.HasPrefix(line, []byte("version")):
			io.WriteString(nc, "VERSION 1.6.18\r\n")
		case string(line) == "mn":
			<-s.speak
			io.WriteString(nc, "MN\r\n")
		default:
			s.asked <- in.Text()
		}
	}
}

func (s *silent) source(t *testing.T) *migrate.Source {
	t.Helper()
	source, err := migrate.OpenSource("memcached://"+s.addr, migrate.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return source
}
