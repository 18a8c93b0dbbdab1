package migrate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sent is what a test stores in the other server.
type sent struct {
	value string
	flags uint32
	ttl   int // seconds; 0: for ever
}

// talk sends requests and reads so many lines of answers.
func talk(t *testing.T, addr, requests string, lines int) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go io.WriteString(nc, requests)
	in := bufio.NewReader(nc)
	for range lines {
		line, err := in.ReadString('\n')
		if err != nil || strings.Contains(line, "ERR") {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// collect runs a migration and gives the records by key, without their bytes'
// owner.
func collect(t *testing.T, run func(emit Emit) (Summary, error)) (map[string]sent, int64, Summary) {
	t.Helper()
	got := map[string]sent{}
	var total int64
	summary, err := run(func(n int64, r *Record) error {
		total = n
		s := sent{value: string(r.Value), flags: r.Flags}
		if !r.Expires.IsZero() {
			s.ttl = int(time.Until(r.Expires).Round(10*time.Second) / time.Second)
		}
		got[string(r.Key)] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, total, summary
}

func compare(t *testing.T, got, want map[string]sent) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%q: %.80v, want %.80v", key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d sessions, want %d", len(got), len(want))
	}
}

func samples() map[string]sent {
	all := map[string]sent{
		"empty":                  {"", 0, 3000},
		"forever":                {"x", 7, 0},
		"flags":                  {"y", 1<<32 - 1, 3000},
		"crlf":                   {"a\r\nEND\r\n", 0, 3000},
		"large":                  {strings.Repeat("0123456789", 50_000), 0, 3000},
		"percent%41&=":           {"z", 0, 3000},
		strings.Repeat("k", 250): {"long key", 0, 3000},
	}
	for i := range 1000 {
		all[fmt.Sprintf("session:%04d", i)] = sent{fmt.Sprintf("value %d", i), uint32(i), 1000 + 100*(i%7)}
	}
	return all
}

func TestMemcached(t *testing.T) {
	addr := startMemcached(t)
	want := samples()
	var requests strings.Builder
	for key, s := range want {
		fmt.Fprintf(&requests, "set %s %d %d %d\r\n%s\r\n", key, s.flags, s.ttl, len(s.value), s.value)
	}
	requests.WriteString("ms AP8KIA== 2 b T3000\r\nhi\r\n") // a key of \x00 \xff \n and a space
	want["\x00\xff\n "] = sent{"hi", 0, 3000}
	talk(t, addr, requests.String(), len(want))
	got, total, summary := collect(t, func(emit Emit) (Summary, error) {
		return Memcached(t.Context(), addr, Options{}, emit)
	})
	compare(t, got, want)
	if total != int64(len(want)) || summary != (Summary{}) {
		t.Errorf("total %d, %+v", total, summary)
	}
}

func TestRedis(t *testing.T) {
	addr := startServer(t, "redis-server", func(port string) []string {
		return []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", "pass:word"}
	})
	want := samples()
	want["\x00\xff\n "] = sent{"hi", 0, 3000}
	requests := "*2\r\n$4\r\nAUTH\r\n$9\r\npass:word\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
	add := func(args ...string) {
		requests += "*" + strconv.Itoa(len(args)) + "\r\n"
		for _, arg := range args {
			requests += "$" + strconv.Itoa(len(arg)) + "\r\n" + arg + "\r\n"
		}
	}
	for key, s := range want {
		s.flags = 0
		want[key] = s
		if s.ttl == 0 {
			add("SET", key, s.value)
		} else {
			add("SET", key, s.value, "EX", strconv.Itoa(s.ttl))
		}
	}
	add("HSET", "a hash", "field", "value")
	add("SET", strings.Repeat("k", 251), "key too long")
	talk(t, addr, requests, len(want)+4)
	target := "redis://:pass%3Aword@" + addr + "/3"
	got, total, summary := collect(t, func(emit Emit) (Summary, error) {
		return Redis(t.Context(), target, Options{}, emit)
	})
	compare(t, got, want)
	if total != int64(len(want)+2) || summary != (Summary{Unsuitable: 2}) {
		t.Errorf("total %d, %+v", total, summary)
	}

	maps.DeleteFunc(want, func(key string, _ sent) bool { return !strings.HasPrefix(key, "session:00") })
	got, _, _ = collect(t, func(emit Emit) (Summary, error) {
		return Redis(t.Context(), target, Options{Match: "session:00*"}, emit)
	})
	compare(t, got, want)

	none := func(int64, *Record) error { return nil }
	_, err := Redis(t.Context(), addr, Options{}, none)
	if err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without a password: %v", err)
	}
	_, err = Redis(t.Context(), "redis://:wrong-password@"+addr, Options{}, none)
	if err == nil || strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("with a wrong password: %v", err)
	}
	stop := errors.New("stop")
	if _, err := Redis(t.Context(), target, Options{}, func(int64, *Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("emit's error came back as %v", err)
	}
}

// TestForeignAnswers lets a server answer nonsense: an error each time, never
// a panic or a wait without end.
func TestForeignAnswers(t *testing.T) {
	const listed = "VERSION 1.6.0\r\nOK\r\nkey=a exp=-1\nEND\r\n"
	for _, answer := range []string{
		"", "\n", "\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "ERROR\r\n", "END\r\nERROR\r\n", "END\r\nBUSY\r\n",
		"VERSION 1.6.0\r\n", "VERSION 1.6.0\r\nBUSY\r\n", "VERSION 1.6.0\r\nOK\r\n", "VERSION 1.6.0\r\nkey=%zz exp=1\r\n",
		listed + "VA 99999999999 f0 O0\r\n", listed + "VA 1 fx O0\r\n", listed + "VA 1 f0\r\na\r\nMN\r\n",
		listed + "VA 1 f0 O1\r\na\r\nMN\r\n", listed + "VA 1 f0 O-1\r\n", listed + "VA 1 f0 t1 O0\r\na\r\nVA 1 f0 t1 O0\r\na\r\n",
		listed + "VA\r\n", listed + "VA \r\n", listed + "HD\r\n", listed + "\r\n", listed + "ERROR\r\n",
		":5\r\n*1\r\n:0\r\n", ":5\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n:1\r\n$9999999999\r\n", "*99999999\r\n",
		":5\r\n" + strings.Repeat("*1\r\n", 100), "$-5\r\n", ":x\r\n", "?\r\n",
	} {
		none := func(int64, *Record) error { return nil }
		addr := scripted(t, step{"", []string{answer}})
		if _, err := Memcached(t.Context(), addr, Options{}, none); err == nil {
			t.Errorf("memcached that says %q: no error", answer)
		}
		if _, err := Redis(t.Context(), addr, Options{}, none); err == nil {
			t.Errorf("Redis that says %q: no error", answer)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	none := func(int64, *Record) error { return nil }
	if _, err := Memcached(ctx, "127.0.0.1:1", Options{}, none); err == nil {
		t.Error("memcached: no error")
	}
	for _, target := range []string{"127.0.0.1:1", "http://x", "redis://%zz", "redis://", "unix://host/x", "redis://127.0.0.1:1?data=3"} {
		if _, err := Redis(ctx, target, Options{}, none); err == nil {
			t.Errorf("%s: no error", target)
		}
	}
}
