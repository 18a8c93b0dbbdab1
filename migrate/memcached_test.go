package migrate

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fill stores sessions in a memcached, each value its key's number.
func fill(t *testing.T, addr string, n int) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	out := bufio.NewWriterSize(nc, 1<<20)
	for i := range n {
		fmt.Fprintf(out, "ms sess:%032d 8 T3000 q\r\n%08d\r\n", i, i)
	}
	out.WriteString("mn\r\n")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(nc).ReadString('\n'); line != "MN\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
}

// TestMemcachedLongList has a listing that fills every buffer on its way many
// times over. A reader that lets it wait stops the source.
func TestMemcachedLongList(t *testing.T) {
	const n = 200_000
	addr := startMemcached(t)
	fill(t, addr, n)
	seen := make([]bool, n)
	summary, err := Memcached(t.Context(), addr, Options{}, func(total int64, r *Record) error {
		var i int
		if _, err := fmt.Sscanf(string(r.Value), "%d", &i); err != nil || string(r.Key) != fmt.Sprintf("sess:%032d", i) {
			return fmt.Errorf("%q came with %q", r.Key, r.Value)
		}
		if seen[i] || total != n {
			return fmt.Errorf("%q: seen %t, total %d", r.Key, seen[i], total)
		}
		seen[i] = true
		return nil
	})
	if err != nil || summary != (Summary{}) {
		t.Fatalf("%+v, %v", summary, err)
	}
	for i := range seen {
		if !seen[i] {
			t.Fatalf("session %d is missing", i)
		}
	}
}

// TestMemcachedOddKeys imports every byte that a key can have, exactly, and
// names what it cannot import.
func TestMemcachedOddKeys(t *testing.T) {
	addr := startMemcached(t)
	want := map[string]sent{}
	requests := ""
	store := func(key string, encode bool) {
		want[key] = sent{"of " + key, 0, 3000}
		name, flag := key, ""
		if encode {
			name, flag = base64.StdEncoding.EncodeToString([]byte(key)), " b"
		}
		requests += fmt.Sprintf("ms %s %d T3000%s\r\nof %s\r\n", name, len(key)+3, flag, key)
	}
	store("sess:\u3000", false) // white space to Unicode, not to memcached
	store("sess:", false)
	store("sess:\u0085x", false)
	for b := range 256 {
		store("byte "+string([]byte{byte(b)}), true)
	}
	store("nbytes=1 exp=-1 key=other", true)
	talk(t, addr, requests, len(want))
	var skipped []string
	options := Options{Skipped: func(key []byte, reason string) { skipped = append(skipped, string(key)+": "+reason) }}
	got, _, summary := collect(t, func(emit Emit) (Summary, error) { return Memcached(t.Context(), addr, options, emit) })
	compare(t, got, want)
	if summary != (Summary{}) || skipped != nil {
		t.Errorf("%+v, skipped %q", summary, skipped)
	}
}

// TestMemcachedBusy waits until a crawl that the source has begun by itself is over.
func TestMemcachedBusy(t *testing.T) {
	const busy = "BUSY currently processing crawler request\r\n"
	addr := scripted(t, step{"version", []string{"VERSION 1.6.45\r\n"}},
		step{"lru_crawler metadump hash", []string{busy, busy, "OK\r\nkey=a exp=-1\nEND\r\n"}},
		step{"mg a v f t O0 q", []string{"VA 1 f7 t-1 O0\r\n1\r\n"}}, step{"mn", []string{"MN\r\n"}})
	got, _, _ := collect(t, func(emit Emit) (Summary, error) { return Memcached(t.Context(), addr, Options{}, emit) })
	compare(t, got, map[string]sent{"a": {"1", 7, 0}})
}

// TestMemcachedHashTable asks for a listing when the source's hash table has grown.
func TestMemcachedHashTable(t *testing.T) {
	stats := func(items, power, expanding int) string {
		return fmt.Sprintf("STAT pid 1\r\nSTAT version 1.6.18\r\nSTAT build by hand, in a hurry\r\nSTAT none \r\nSTAT curr_items %d\r\nSTAT hash_power_level %d\r\nSTAT hash_is_expanding %d\r\nEND\r\n",
			items, power, expanding)
	}
	const asked = "lru_crawler metadump hash\r\n"
	for _, c := range []struct {
		answers []string
		asks    int // how often for stats
	}{
		{[]string{stats(98304, 16, 0)}, 1},
		{[]string{stats(98305, 16, 0), stats(98305, 17, 1), stats(98305, 17, 0)}, 3},
		{[]string{"ERROR\r\n"}, 1},
		{[]string{"SERVER_ERROR no stats\r\n"}, 1},
		{[]string{"END\r\n"}, 1},
	} {
		r := relay{t: t, to: scripted(t, step{"version", []string{"VERSION 1.6.18\r\n"}}, step{"stats", c.answers},
			step{"lru_crawler metadump hash", []string{"key=a exp=-1\nEND\r\n"}},
			step{"mg a v f t O0 q", []string{"VA 1 f7 t-1 O0\r\n1\r\n"}}, step{"mn", []string{"MN\r\n"}})}
		got, _, _ := collect(t, func(emit Emit) (Summary, error) { return Memcached(t.Context(), r.listen(), Options{}, emit) })
		compare(t, got, map[string]sent{"a": {"1", 7, 0}})
		r.mu.Lock()
		var requests []string
		for _, e := range r.exchanges {
			requests = append(requests, e.Request)
		}
		r.mu.Unlock()
		if len(requests) < c.asks+2 || requests[c.asks] != "stats\r\n" || requests[c.asks+1] != asked {
			t.Errorf("%q: asked %q", c.answers, requests)
		}
	}
}

// steps makes a script of pairs: what a request begins with, and the answer.
func steps(pairs [][2]string) (script []step) {
	for _, p := range pairs {
		script = append(script, step{p[0], []string{p[1]}})
	}
	return script
}

func TestMemcachedOtherVersions(t *testing.T) {
	hello, done := [2]string{"version", "VERSION 1.6.45\r\n"}, [2]string{"mn", "MN\r\n"}
	list := "key=a exp=-1 la=1 cas=2 fetch=no cls=1 size=63 flags=0\nkey=b exp=9 la=1 cas=3 fetch=no cls=1 size=63 flags=0\nEND\r\n"
	a, b := [2]string{"mg a v f t O0", "VA 1 f7 t-1 O0\r\n1\r\n"}, [2]string{"mg b v f t O1", "VA 1 f0 t3000 O1\r\n2\r\n"}
	for _, c := range []struct {
		name    string
		script  [][2]string
		want    map[string]sent
		summary Summary
		skipped string
	}{
		{name: "OK before the list", script: [][2]string{hello, {"lru_crawler metadump hash", "OK\r\n" + list}, a, b, done},
			want: map[string]sent{"a": {"1", 7, 0}, "b": {"2", 0, 3000}}},
		{name: "no list by hash", script: [][2]string{hello, {"lru_crawler metadump hash", "CLIENT_ERROR bad\r\n"}, {"lru_crawler metadump all", list}, a, b, done},
			want: map[string]sent{"a": {"1", 7, 0}, "b": {"2", 0, 3000}}},
		{name: "in another order", script: [][2]string{hello, {"lru_crawler", list}, {"mg a", ""}, {"mg b", b[1] + a[1]}, done},
			want: map[string]sent{"a": {"1", 7, 0}, "b": {"2", 0, 3000}}},
		{name: "one has gone", script: [][2]string{hello, {"lru_crawler", list}, {"mg a", ""}, b, done},
			want: map[string]sent{"b": {"2", 0, 3000}}, summary: Summary{Gone: 1}},
		{name: "one cannot be had", script: [][2]string{hello, {"lru_crawler", list}, {"mg a", "SERVER_ERROR out of memory\r\n"},
			{"mg b v f t O1", ""}, {"mg b v f t O0", "VA 1 f0 t3000 O0\r\n2\r\n"}, done},
			want: map[string]sent{"b": {"2", 0, 3000}}, summary: Summary{Unsuitable: 1}, skipped: `a: memcached says "SERVER_ERROR out of memory"`},
		{name: "flags of 64 bits", script: [][2]string{hello, {"lru_crawler", list}, {"mg a", "VA 1 f4294967296 t-1 O0\r\n1\r\n"}, b, done},
			want: map[string]sent{"b": {"2", 0, 3000}}, summary: Summary{Unsuitable: 1}, skipped: "a: its flags are longer than 32 bits"},
		{name: "keys that cannot be", script: [][2]string{hello, {"lru_crawler", "key=%zz exp=1\nkey= exp=1\nkey=" + strings.Repeat("k", 251) + "\n" + list}, a, b, done},
			want: map[string]sent{"a": {"1", 7, 0}, "b": {"2", 0, 3000}}, summary: Summary{Unsuitable: 3}, skipped: "%zz: its key cannot be decoded"},
		{name: "a life of ages", script: [][2]string{hello, {"lru_crawler", list}, {"mg a", "VA 1 f7 t9223372036854775807 O0\r\n1\r\n"}, b, done},
			want: map[string]sent{"a": {"1", 7, 0}, "b": {"2", 0, 3000}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			skipped := ""
			options := Options{Skipped: func(key []byte, reason string) { skipped += string(key) + ": " + reason + "\n" }}
			got, _, summary := collect(t, func(emit Emit) (Summary, error) {
				return Memcached(t.Context(), scripted(t, steps(c.script)...), options, emit)
			})
			compare(t, got, c.want)
			if summary != c.summary || !strings.HasPrefix(skipped, c.skipped) {
				t.Errorf("%+v, skipped %q", summary, skipped)
			}
		})
	}
}

// TestMemcachedLogin takes sessions from one with an authfile.
func TestMemcachedLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth")
	if err := os.WriteFile(file, []byte("user:pass:secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := startMemcached(t, "-Y", file)
	talk(t, addr, "set x 0 0 16\r\nuser pass:secret\r\nset k 0 0 1\r\nv\r\n", 2)
	none := func(int64, *Record) error { return nil }
	for target, says := range map[string]string{
		addr:                             "requires a login",
		"memcached://user:wrong@" + addr: "refuses",
		"memcacheds://user:pass%3Asecret@" + addr:          "",
		"redis://user:pass%3Asecret@" + addr:               "is not an address",
		"memcached://user:pass%3Asecret@" + addr + "?db=1": "db",
	} {
		_, err := Memcached(t.Context(), target, Options{}, none)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", target, err)
		}
	}
	got, _, _ := collect(t, func(emit Emit) (Summary, error) {
		return Memcached(t.Context(), "memcached://user:pass%3Asecret@"+addr, Options{}, emit)
	})
	compare(t, got, map[string]sent{"k": {"v", 0, 0}})
}

// TestMemcachedUnasked makes sure that a password is not stored by a memcached
// that wants none.
func TestMemcachedUnasked(t *testing.T) {
	addr := startMemcached(t)
	got, _, _ := collect(t, func(emit Emit) (Summary, error) {
		return Memcached(t.Context(), "memcached://user:secret@"+addr, Options{}, emit)
	})
	compare(t, got, map[string]sent{})
}

func TestMemcachedOverTLSAndUnixSocket(t *testing.T) {
	dir := t.TempDir()
	certificate, key, authorities := writeCertificate(t, dir)
	addr := startMemcached(t, "-Z", "-o", "ssl_chain_cert="+certificate+",ssl_key="+key)
	config := &tls.Config{RootCAs: authorities}
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: authorities, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(nc, "set k 0 0 1\r\nv\r\n")
	bufio.NewReader(nc).ReadString('\n')
	nc.Close()
	got, _, _ := collect(t, func(emit Emit) (Summary, error) {
		return Memcached(t.Context(), "memcacheds://"+addr, Options{TLS: config}, emit)
	})
	compare(t, got, map[string]sent{"k": {"v", 0, 0}})
	none := func(int64, *Record) error { return nil }
	if _, err := Memcached(t.Context(), "memcacheds://"+addr, Options{}, none); err == nil {
		t.Error("an unknown authority is trusted")
	}
	if _, err := Memcached(t.Context(), "memcacheds://"+addr, Options{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, none); err == nil {
		t.Error("an unknown authority is trusted")
	}

	socket := filepath.Join(dir, "socket")
	startOnSocket(t, socket, "memcached", "-u", "root", "-s", socket)
	for _, target := range []string{socket, "unix://" + socket} {
		got, _, _ = collect(t, func(emit Emit) (Summary, error) { return Memcached(t.Context(), target, Options{}, emit) })
		compare(t, got, map[string]sent{})
	}
}
