package migrate

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// command is a Redis command as bytes.
func command(args ...string) string {
	s := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	return s
}

func startRedis(t *testing.T, more ...string) string {
	return startServer(t, "redis-server", func(port string) []string {
		return append([]string{"--port", port, "--bind", "127.0.0.1", "--save", ""}, more...)
	})
}

func TestRedisDatabaseAsParameter(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	addr := startRedis(t, "--unixsocket", socket)
	await(t, "unix", socket)
	talk(t, addr, command("SET", "k", "zero")+command("SELECT", "3")+command("SET", "k", "three"), 3)
	for target, want := range map[string]string{
		addr: "zero", "redis://" + addr: "zero", "redis://" + addr + "/3": "three", "redis://" + addr + "?db=3": "three",
		"redis://" + addr + "/0?db=3": "three", socket: "zero", "unix://" + socket + "?db=3": "three",
	} {
		got, _, _ := collect(t, func(emit Emit) (Summary, error) { return Redis(t.Context(), target, Options{}, emit) })
		compare(t, got, map[string]sent{"k": {want, 0, 0}})
	}
}

// TestRedisLongLives imports lives that overflow a duration, or a year.
func TestRedisLongLives(t *testing.T) {
	addr := startRedis(t)
	const year = 365 * 24 * 3600 * 1000
	talk(t, addr, command("SET", "300 years", "v", "PX", fmt.Sprint(int64(300*year)))+
		command("SET", "10000 years", "v", "PX", fmt.Sprint(int64(10000*year)))+
		command("SET", "ages", "v", "PX", fmt.Sprint(int64(1<<62))), 3)
	lives := map[string]int{}
	_, err := Redis(t.Context(), addr, Options{}, func(_ int64, r *Record) error {
		lives[string(r.Key)] = r.Expires.Year()
		return nil
	})
	if err != nil || lives["300 years"] < 2300 || lives["300 years"] > 2500 || lives["10000 years"] != 1 || lives["ages"] != 1 {
		t.Errorf("%v, %v", lives, err)
	}
}

// TestRedisRefusals tells a value of another type from what may not be read.
func TestRedisRefusals(t *testing.T) {
	addr := startRedis(t)
	talk(t, addr, command("SET", "allowed", "v")+command("RPUSH", "list", "v")+
		command("ACL", "SETUSER", "some", "on", ">pw", "~allowed", "~list", "+@all")+
		command("ACL", "SETUSER", "none", "on", ">pw", "~*", "+@all", "-get"), 4)
	skipped := ""
	options := Options{Skipped: func(key []byte, reason string) { skipped += string(key) + ": " + reason }}
	got, _, summary := collect(t, func(emit Emit) (Summary, error) {
		return Redis(t.Context(), "redis://some:pw@"+addr, options, emit)
	})
	compare(t, got, map[string]sent{"allowed": {"v", 0, 0}})
	if summary != (Summary{Unsuitable: 1}) || skipped != "list: it is not a string" {
		t.Errorf("%+v, %q", summary, skipped)
	}
	none := func(int64, *Record) error { return nil }
	if _, err := Redis(t.Context(), "redis://none:pw@"+addr, Options{}, none); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("without the right to read: %v", err)
	}
}

func TestRedisOverTLS(t *testing.T) {
	certificate, key, authorities := writeCertificate(t, t.TempDir())
	_, port, _ := net.SplitHostPort(freeAddr(t))
	startRedis(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
	addr := "127.0.0.1:" + port
	await(t, "tcp", addr)
	got, _, _ := collect(t, func(emit Emit) (Summary, error) {
		return Redis(t.Context(), "rediss://"+addr, Options{TLS: &tls.Config{RootCAs: authorities}}, emit)
	})
	compare(t, got, map[string]sent{})
}
