package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/serve"
	"cairn/tlsconfig"
)

// load returns the Config of a command line, an environment and a file's text.
func load(t *testing.T, args string, environ []string, name, text string) (*Config, error) {
	t.Helper()
	c := New()
	words := strings.Fields(args)
	if name != "" {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		words = append(words, "--config", path)
	}
	if err := c.Flags().Parse(words); err != nil {
		return c, err
	}
	return c, c.Load(environ)
}

func mustLoad(t *testing.T, args string, environ []string, name, text string) *Config {
	t.Helper()
	c, err := load(t, args, environ, name, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrecedence(t *testing.T) {
	const file = "port: 1\nconn-limit: 1\nmemory: 1\nlisten: [10.0.0.1, 10.0.0.2]\n"
	environ := []string{"CAIRN_PORT=2", "CAIRN_CONN_LIMIT=2", "PORT=99"}
	c := mustLoad(t, "-p 3", environ, "c.yaml", file)
	if c.Port != 3 || c.ConnLimit != 2 || c.Memory != 1<<20 || c.MaxItemSize != 8<<20 {
		t.Errorf("port %d, conn-limit %d, memory %d, max-item-size %d; want flag 3, env 2, file 1 MiB, default 8 MiB",
			c.Port, c.ConnLimit, c.Memory, c.MaxItemSize)
	}
	if want := []string{"10.0.0.1", "10.0.0.2"}; !slices.Equal(c.Listen, want) {
		t.Errorf("listen %q, want %q: the file's list replaces the default", c.Listen, want)
	}
}

func TestFormatsAgree(t *testing.T) {
	yaml := mustLoad(t, "", nil, "c.yaml", "port: 5\nmax-item-size: 2m\nunix-mask: \"750\"\nenable-ssl: false\nidle-timeout: 90\ndurability: interval:20ms\nlisten: [\"[::1]:7\", \"*\"]\nverbose: 2\n")
	toml := mustLoad(t, "", nil, "c.toml", "port = 5\nmax-item-size = '2m'\nunix-mask = '750'\nenable-ssl = false\nidle-timeout = 90\ndurability = 'interval:20ms'\nlisten = ['[::1]:7', '*']\nverbose = 2\n")
	flags := mustLoad(t, "-p5 -I 2m -a 750 --idle-timeout 1m30s --durability interval:20ms -l [::1]:7,* -vv", nil, "", "")
	env := mustLoad(t, "", []string{"CAIRN_PORT=5", "CAIRN_MAX_ITEM_SIZE=2048k", "CAIRN_UNIX_MASK=750", "CAIRN_IDLE_TIMEOUT=90", "CAIRN_DURABILITY=interval:20ms", "CAIRN_LISTEN=[::1]:7,*", "CAIRN_VERBOSE=2"}, "", "")
	want := values(flags)
	for name, c := range map[string]*Config{"yaml": yaml, "toml": toml, "env": env} {
		if got := values(c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %v\nflags give %v", name, got, want)
		}
	}
}

// values are all settings but the file's own name.
func values(c *Config) map[string]string {
	all := map[string]string{}
	for _, s := range c.Settings() {
		all[s.Name] = s.Value
	}
	delete(all, "config")
	return all
}

func TestFaultsAreNamed(t *testing.T) {
	for _, c := range []struct{ args, env, name, text, want string }{
		{name: "c.yaml", text: "prot: 1\n", want: `no setting "prot"`},
		{name: "c.yaml", text: "config: other.yaml\n", want: `no setting "config"`},
		{name: "c.yaml", text: "network:\n  port: 1\n", want: `no setting "network"`},
		{name: "c.yaml", text: "port:\n  number: 1\n", want: "port: must be a plain value"},
		{name: "c.yaml", text: "port:\n", want: "port: has no value"},
		{name: "c.yaml", text: "port: ninety\n", want: "c.yaml: invalid argument"},
		{name: "c.yaml", text: "a: b: c\n", want: "c.yaml"},
		{name: "c.yaml", text: "unix-mask: 0700\n", want: "quotes"},
		{name: "c.toml", text: "prot = 1\n", want: `no setting "prot"`},
		{name: "c.ini", text: "", want: "must end in"},
		{args: "--config /nonexistent/c.yaml", want: "/nonexistent/c.yaml"},
		{env: "CAIRN_PORT=70000", want: "CAIRN_PORT in the environment"},
		{args: "-p 70000", want: "from 0 to 65535"},
		{args: "-I 100", want: "between 1k and 1g"},
		{args: "-I 2x", want: "k, m, g or t"},
		{args: "-m 99999999999t", want: "too large"},
		{args: "-U 11211", want: "amplification"},
		{args: "-l 10.0.0.1:http", want: "not a number"},
		{args: "-p 0", want: "nothing to listen on"},
		{args: "-Z", want: "tls-cert"},
		{args: "-Z --tls-cert a --tls-key b --tls-verify require", want: "tls-ca"},
		{args: "-Z -o ssl_chain_cert=a,ssl_key=b,ssl_verify_mode=1", want: "needs tls-ca, the authorities whose certificates clients may show (memcached: -o ssl_ca_cert=...)"},
		{args: "-o ssl_min_version=tlsv1.0", want: "not a TLS version"},
		{args: "-S", want: "auth-file"},
		{args: "-o no_such_thing", want: "no such extended option"},
		{args: "--durability interval:0s", want: "positive"},
		{args: "--durability never", want: "want sync or interval"},
		{args: "--data-dir=", want: "data-dir"},
		{args: "-a 999", want: "octal"},
		{args: "--log-format xml", want: "one of text, json"},
		{args: "--http-tls-cert c.pem", want: "go together"},
		{args: "--http-tls-verify require", want: "http-tls-ca"},
		{args: "--join a:1", want: "join needs cluster-listen"},
		{args: "--cluster-listen 127.0.0.1 --join a:1", want: "must be host:port"},
		{args: "--cluster-listen 127.0.0.1:x --join a:1", want: "needs a port"},
		{args: "--cluster-listen 0.0.0.0:1 --join a:1 --cluster-plaintext", want: "set one with cluster-advertise"},
		{args: "--cluster-listen 127.0.0.1:1", want: "needs join"},
		{args: "--cluster-listen 127.0.0.1:1 --join a", want: `join "a" must be host:port`},
		{args: "--cluster-listen 127.0.0.1:1 --join dnssrv+_cluster._tcp.a", want: "or the name of SRV records, such as _cluster._tcp.example.com"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1,_cluster._tcp.a:7211", want: `join "_cluster._tcp.a:7211" must be _cluster._tcp.a alone: SRV records have the port, so leave out :7211`},
		{args: "--cluster-listen 127.0.0.1:1 --join _cluster._tcp", want: `join "_cluster._tcp" must be host:port, or the name of SRV records`},
		{args: "--cluster-listen 127.0.0.1:1 --join _cluster.a", want: `join "_cluster.a" must be`},
		{args: "--cluster-listen 127.0.0.1:1 --join _a:1", want: `join "_a:1" must be`},
		{args: "--role proxy --join _cluster._tcp.a:1 --cluster-plaintext", want: "leave out :1"},
		{args: "--role proxy --join _cluster._tcp.localhost", want: "or cluster-plaintext"},
		{args: "--cluster-listen 10.0.0.1:1 --join a:1", want: "or cluster-plaintext"},
		{args: "--cluster-listen 10.0.0.1:1 --join a:1 --cluster-cert c", want: "go together"},
		{args: "--cluster-listen 10.0.0.1:1 --join a:1 --cluster-cert c --cluster-key k --cluster-ca a --cluster-plaintext", want: "contradicts"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --bootstrap-expect 0", want: "from 1 to 99"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --replace-after 1s", want: "from 10s to 720h"},
		{args: "--replace-after 1m", want: "needs cluster-listen"},
		{args: "--zone a", want: "zone needs cluster-listen"},
		{args: "--client-advertise a:1", want: "client-advertise needs cluster-listen"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --client-advertise a", want: `client-advertise "a" must be host:port`},
		{args: "--role proxy --join 127.0.0.1:1 --client-advertise 0.0.0.0:1", want: "set one with client-advertise"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --zone a/b", want: `zone "a/b" must have at most 63 letters`},
		{args: "--fast-failover=false", want: "fast-failover needs cluster-listen"},
		{args: "--role proxy --join a:1 --fast-failover=false", want: "fast-failover has no effect on a proxy"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --cluster-name=", want: "cluster-name"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --durability interval:1s", want: "durability"},
		{args: "--cluster-listen 127.0.0.1:1 --join a:1 --upstream memcached://b:1", want: "upstream"},
	} {
		var environ []string
		if c.env != "" {
			environ = []string{c.env}
		}
		if _, err := load(t, c.args, environ, c.name, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v\ngives error %v", c, err)
		}
	}
}

// Debian's memcached starts so; scripts in the wild look like it.
func TestMemcachedStartLineWorks(t *testing.T) {
	c := mustLoad(t, "-d -m 64 -p 11311 -u memcache -l 127.0.0.1 -P /run/m.pid -c 2048 -t 4 -vv -b 512 -R 40 -I 4m -A -F -X -W -k -r "+
		"-f 1.1 -n 72 -L -M -C -U 0 -B ascii -D : --memory-limit=128 -o modern,slab_reassign,hash_algorithm=murmur3,idle_timeout=30,ext_path=/x:1g", nil, "", "")
	if c.Port != 11311 || c.Memory != 128<<20 || c.User != "memcache" || c.PIDFile != "/run/m.pid" || c.ConnLimit != 2048 ||
		c.Threads != 4 || c.Verbose != 2 || c.MaxItemSize != 4<<20 || c.IdleTimeout != 30*time.Second || !c.Daemon || !c.LockMemory {
		t.Errorf("%+v", c)
	}
	warnings := strings.Join(c.Warnings, "\n")
	for _, word := range []string{"slab-growth-factor", "slab-min-size", "enable-largepages", "disable-evictions", "disable-cas", "slab_reassign", "hash_algorithm", "ext_path", "prefix-delimiter", "protocol", "max-reqs-per-event", "listen-backlog"} {
		if !strings.Contains(warnings, word) {
			t.Errorf("no warning says that %s has no effect", word)
		}
	}
	if strings.Contains(warnings, "modern") {
		t.Error("a warning about -o modern, which asks for nothing")
	}
}

func TestMemcachedTLSOptions(t *testing.T) {
	c := mustLoad(t, "-Z -o ssl_chain_cert=c.pem,ssl_key=k.pem,ssl_verify_mode=2,ssl_ca_cert=ca.pem -l notls:127.0.0.1:11211,0.0.0.0:11212", nil, "", "")
	if !c.TLS || c.TLSCert != "c.pem" || c.TLSKey != "k.pem" || c.TLSVerify != tlsconfig.RequireClients || c.TLSCA != "ca.pem" {
		t.Errorf("%+v", c)
	}
	addresses, err := c.Addresses()
	want := []serve.Address{
		{Network: "tcp", Addr: "127.0.0.1:11211", Plain: true},
		{Network: "tcp", Addr: "0.0.0.0:11212"},
	}
	if err != nil || !slices.Equal(addresses, want) {
		t.Errorf("addresses %v, %v; want %v", addresses, err, want)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "127.0.0.1:11211"},
		{"-p 5 -l ::1,[::1],*,host:0", "[::1]:5 [::1]:5 :5 host:0"},
		{"-p 0 -l a,b:6", "b:6"},
		{"-s /s", "unix:/s"},
		{"-s /s -p 7", "unix:/s"},
		{"-s /s -l a", "unix:/s a:11211"},
	} {
		addresses, err := mustLoad(t, c.args, nil, "", "").Addresses()
		var got []string
		for _, a := range addresses {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q listens on %v, %v; want %v", c.args, got, err, c.want)
		}
	}
}

func TestCluster(t *testing.T) {
	if c := mustLoad(t, "", nil, "", ""); c.Clustered() {
		t.Error("a server is a node of a cluster though nobody said so")
	}
	c := mustLoad(t, "--cluster-listen 127.0.0.1:7211 --join a:1,b:2 --join c:3", nil, "", "")
	if !c.Clustered() || c.ClusterAdvertise != "127.0.0.1:7211" || len(c.Join) != 3 || c.BootstrapExpect != 3 {
		t.Errorf("others reach it at %q, it looks for %q, and begins with %d", c.ClusterAdvertise, c.Join, c.BootstrapExpect)
	}
	mustLoad(t, "--cluster-listen 0.0.0.0:7211 --cluster-advertise a:7211 --join b:1 --cluster-plaintext", nil, "", "")
	mustLoad(t, "--cluster-listen :7211 --cluster-advertise a:7211 --join b:1 --cluster-cert c --cluster-key k --cluster-ca a", nil, "", "")
	mustLoad(t, "--cluster-listen localhost:7211 --bootstrap-expect 1", nil, "", "")
	mustLoad(t, "--cluster-listen localhost:7211 --join _cluster._tcp.cairn-nodes.ns.svc.cluster.local", nil, "", "")
	mustLoad(t, "--role proxy --join _cairn._tcp.service.consul.,a:1 --cluster-plaintext", nil, "", "")
}

// TestClientAddress looks at what discovery names.
func TestClientAddress(t *testing.T) {
	for args, want := range map[string]string{
		"--cluster-listen 127.0.0.1:7211":                                                          "127.0.0.1:11211",
		"--cluster-listen 127.0.0.1:7211 -l localhost:0":                                           "",
		"--cluster-listen 127.0.0.1:7211 -s /run/cairn.sock":                                       "",
		"--cluster-listen :7211 --cluster-advertise a:7211":                                        "", // others do not reach loopback
		"--cluster-listen :7211 --cluster-advertise a:7211 -l 127.0.0.1,*":                         "a:11211",
		"--cluster-listen :7211 --cluster-advertise a:7211 -l ::":                                  "a:11211",
		"--cluster-listen :7211 --cluster-advertise a:7211 -l 10.0.0.1:3":                          "10.0.0.1:3",
		"--cluster-listen :7211 --cluster-advertise [fd00::1]:7211 -l * -p 3":                      "[fd00::1]:3",
		"--cluster-listen :7211 --cluster-advertise a:7211 -l 0.0.0.0 --client-advertise b:4":      "b:4",
		"--cluster-listen :7211 --cluster-advertise a:7211 -l notls:127.0.0.1:1,b:2 --patience 1s": "b:2",
		"--role proxy":                                 "127.0.0.1:11211",
		"--role proxy -l 0.0.0.0":                      "",
		"--role proxy -l *,a:2":                        "a:2",
		"--role proxy -l * --client-advertise [::1]:3": "[::1]:3",
	} {
		c := mustLoad(t, args+" --join 127.0.0.1:7211 --cluster-plaintext", nil, "", "")
		if got := c.ClientAddress(); got != want {
			t.Errorf("%s: clients reach it at %q, want %q", args, got, want)
		}
	}
}

func TestSASLPasswordFileOfMemcached(t *testing.T) {
	c := mustLoad(t, "-S", []string{"MEMCACHED_SASL_PWDB=/etc/pwdb"}, "", "")
	if c.AuthFile != "/etc/pwdb" {
		t.Errorf("auth-file %q", c.AuthFile)
	}
}

func TestKubernetesServiceVariablesAreNotSettings(t *testing.T) {
	c := mustLoad(t, "", []string{"CAIRN_PORT=tcp://10.0.0.7:11211", "CAIRN_SERVICE_HOST=10.0.0.7", "CAIRN_PORT_11211_TCP_ADDR=10.0.0.7", "CAIRN_DATADIR=x", "CAIRN_HTTP_TOKENS=ops admin 0123456789abcdef", "CAIRN_URL=http://x"}, "", "")
	if c.Port != 11211 || c.HTTPTokens == "" {
		t.Errorf("port %d, tokens %q", c.Port, c.HTTPTokens)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "CAIRN_DATADIR") {
		t.Errorf("warnings %q; want one, about the misspelt CAIRN_DATADIR", c.Warnings)
	}
}

// What WriteYAML prints, commented lines included, reads back as the same
// configuration.
func TestYAMLRoundTrip(t *testing.T) {
	c := mustLoad(t, "-p 12 -m 2g -s /a,b -a 755 -l x,y:3 --durability interval:1s -v --node-addresses a:1,b:2", nil, "", "")
	var b strings.Builder
	if err := c.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{b.String(), uncomment(b.String())} {
		if got := values(mustLoad(t, "", nil, "c.yaml", text)); !reflect.DeepEqual(got, values(c)) {
			t.Errorf("read back\n%v\nwant\n%v\nfrom\n%s", got, values(c), text)
		}
	}
}

// uncomment turns "# name: value" into "name: value" and keeps prose.
func uncomment(text string) string {
	lines := strings.Split(text, "\n")
	names := map[string]bool{}
	for _, s := range New().Settings() {
		names[s.Name] = true
	}
	for i, line := range lines {
		name, _, ok := strings.Cut(strings.TrimPrefix(line, "# "), ":")
		if ok && names[name] {
			lines[i] = strings.TrimPrefix(line, "# ")
		}
	}
	return strings.Join(lines, "\n")
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"64": 64 << 20, "64m": 64 << 20, "1G": 1 << 30, "0": 0, "512k": 512 << 10} {
		if got, err := parseSize(text, mebibyte); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
		back, err := parseSize(formatSize(want, mebibyte), mebibyte)
		if err != nil || back != want {
			t.Errorf("%d is written %q", want, formatSize(want, mebibyte))
		}
	}
	for _, text := range []string{"", "k", "-1", "1kk", "1.5g", " 1", "m1"} {
		if n, err := parseSize(text, 1); err == nil {
			t.Errorf("%q is accepted as %d", text, n)
		}
	}
}
