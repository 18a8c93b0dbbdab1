// Package peer runs session servers to compare: Cairn and what people would
// take instead of it. It starts each on a free loopback port with a directory
// of its own, reads from the kernel what it costs, and stops it.
package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/bench/dialect"
	"cairn/bench/load"
	"cairn/freeport"
)

// Spec says which server to run, and how.
type Spec struct {
	Name string   // in reports
	Base string   // one of Bases
	Path string   // of the binary; "": found by the base's name
	Args []string // added to the command line
}

// Bases lists the servers that the package knows.
func Bases() []string {
	var names []string
	for _, b := range bases {
		if !b.internal {
			names = append(names, b.name)
		}
	}
	return names
}

// base is a way to run a server.
type base struct {
	name     string
	program  string
	redis    bool // speaks RESP instead of memcached's protocols
	waits    bool // its clients wait until a replica has what they wrote
	meta     bool // knows memcached's meta commands
	durable  bool // keeps what it acknowledged over a restart
	internal bool // not for users to choose
	// bucket is how long after a short-lived session's end its record may
	// leave the disk together with others, 0 if there is no such rhythm.
	bucket  time.Duration
	command func(o *Options, port string) ([]string, error)
}

// redisPrimary is a Redis whose clients wait until a replica has what they wrote.
const redisPrimary = "redis-wait"

var bases = []base{
	{
		name: "cairn", program: "cairn", meta: true, durable: true, bucket: 15 * time.Minute,
		command: func(o *Options, port string) ([]string, error) { return cairnArgs(o, port, "sync") },
	},
	{
		name: "cairn-interval", program: "cairn", meta: true, durable: true, bucket: 15 * time.Minute,
		command: func(o *Options, port string) ([]string, error) { return cairnArgs(o, port, "interval:100ms") },
	},
	{name: "memcached", program: "memcached", meta: true, command: memcachedArgs},
	{
		name: "redis-always", program: "redis-server", redis: true, durable: true,
		command: func(o *Options, port string) ([]string, error) { return redisArgs(o, port, "always"), nil },
	},
	{
		name: "redis-everysec", program: "redis-server", redis: true, durable: true,
		command: func(o *Options, port string) ([]string, error) { return redisArgs(o, port, "everysec"), nil },
	},
	{
		name: redisPrimary, program: "redis-server", redis: true, waits: true, durable: true, internal: true,
		command: func(o *Options, port string) ([]string, error) { return redisArgs(o, port, "always"), nil },
	},
	{name: slowCairn, program: "cairn", meta: true, durable: true, internal: true, command: slowArgs},
	{name: "yrmcds", program: "yrmcdsd", command: yrmcdsArgs},
}

func (s Spec) base() (*base, error) {
	for i := range bases {
		if bases[i].name == s.Base {
			return &bases[i], nil
		}
	}
	return nil, fmt.Errorf("peer: unknown server %q: want one of %s", s.Base, strings.Join(Bases(), ", "))
}

// ParseSpec reads "NAME" or "LABEL=NAME [ARGUMENT...]": a server under another
// name in reports and with more arguments. An argument that begins with @ is
// the path of the binary to run.
func ParseSpec(text string) (Spec, error) {
	label, rest, named := strings.Cut(text, "=")
	if !named || strings.ContainsAny(label, " \t") {
		label, rest = "", text
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return Spec{}, fmt.Errorf("peer: %q names no server", text)
	}
	s := Spec{Name: words[0], Base: words[0]}
	if label != "" {
		s.Name = label
	}
	for _, word := range words[1:] {
		if path, ok := strings.CutPrefix(word, "@"); ok {
			s.Path = path
		} else {
			s.Args = append(s.Args, word)
		}
	}
	_, err := s.base()
	return s, err
}

// Find resolves the binary: Cairn's is the one beside the running program, if
// there is one. It fails if the server is not installed.
func (s Spec) Find() (string, error) {
	b, err := s.base()
	if err != nil {
		return "", err
	}
	if s.Path != "" {
		return s.Path, nil
	}
	places := []string{b.program, "/usr/sbin/" + b.program, "/usr/local/sbin/" + b.program}
	if self, err := os.Executable(); err == nil && s.IsCairn() {
		places = slices.Insert(places, 0, filepath.Join(filepath.Dir(self), b.program))
	}
	for _, place := range places {
		if path, err := exec.LookPath(place); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("peer: %s: there is no program %s; install it, or name it as in '%s=%s @PATH'", s.Name, b.program, s.Name, s.Base)
}

// SpeaksMemcached reports whether memcached's clients can talk to it.
func (s Spec) SpeaksMemcached() bool { b, err := s.base(); return err == nil && !b.redis }

// Durable reports whether it keeps sessions over a restart.
func (s Spec) Durable() bool { b, err := s.base(); return err == nil && b.durable }

// IsCairn reports whether it is some Cairn.
func (s Spec) IsCairn() bool { b, err := s.base(); return err == nil && b.program == "cairn" }

// Bucket is the rhythm in which it drops sessions of less than an hour from
// its disk, 0 if it has none.
func (s Spec) Bucket() time.Duration {
	b, err := s.base()
	if err != nil {
		return 0
	}
	return b.bucket
}

// Dialect returns the wire protocol to speak with it: name is text, meta or
// binary for those that speak memcached's.
func (s Spec) Dialect(name string) (func() load.Dialect, error) {
	b, err := s.base()
	switch {
	case err != nil:
		return nil, err
	case b.waits:
		return func() load.Dialect { return new(dialect.Replicated) }, nil
	case b.redis:
		return func() load.Dialect { return new(dialect.Redis) }, nil
	case name == "text":
		return func() load.Dialect { return dialect.Text{} }, nil
	case name == "binary":
		return func() load.Dialect { return dialect.Binary{} }, nil
	case name == "meta" && b.meta:
		return func() load.Dialect { return dialect.Meta{} }, nil
	}
	return nil, fmt.Errorf("peer: %s does not speak %q", s.Name, name)
}

// Options say how to run a server.
type Options struct {
	Dir      string // of its own; made and kept
	MemoryMB int    // for sessions; Cairn: for hot ones
	Threads  int    // that serve clients; 0: the server's default
	CPUs     []int  // it may run on; none: any
}

func cairnArgs(o *Options, port, durability string) ([]string, error) {
	http, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{
		"serve", "--listen", "127.0.0.1", "--port", port, httpFlag, "127.0.0.1:" + http,
		"--memory", strconv.Itoa(o.MemoryMB), "--data-dir", filepath.Join(o.Dir, "data"),
		"--durability", durability, "--conn-limit", "16384", "--pidfile", filepath.Join(o.Dir, pidFile),
	}
	return append(args, threadArgs("--threads", o)...), nil
}

// SlowCommand is the hidden command of cairn-bench that serves a Cairn whose
// reads of the disk are slow.
const SlowCommand = "slow-server"

const slowCairn = "cairn-slow"

// SlowCairn is the Cairn within the program at path, which has SlowCommand, with
// reads of tables that take that long.
func SlowCairn(path string, delay time.Duration) Spec {
	return Spec{Name: "cairn", Base: slowCairn, Path: path, Args: []string{"--read-delay", delay.String()}}
}

func slowArgs(o *Options, port string) ([]string, error) {
	args := []string{
		SlowCommand, "--listen", "127.0.0.1:" + port, "--data-dir", filepath.Join(o.Dir, "data"),
		"--memory", strconv.Itoa(o.MemoryMB),
	}
	return append(args, threadArgs("--threads", o)...), nil
}

// pidFile is the name of the file in which a Cairn says which process serves.
const pidFile = "pid"

// httpFlag stands before the address of a Cairn's metrics.
const httpFlag = "--http-listen"

func memcachedArgs(o *Options, port string) ([]string, error) {
	args := []string{
		"-l", "127.0.0.1", "-p", port, "-U", "0", "-m", strconv.Itoa(o.MemoryMB), "-c", "16384",
	}
	if os.Geteuid() == 0 { // it refuses to run as root unless told so
		args = append(args, "-u", "root")
	}
	return append(args, threadArgs("-t", o)...), nil
}

func threadArgs(flag string, o *Options) []string {
	if o.Threads == 0 {
		return nil
	}
	return []string{flag, strconv.Itoa(o.Threads)}
}

// redisArgs runs Redis as a session store that must not forget: with its
// append-only file and without snapshots. At the memory limit it evicts what
// has an expiry.
func redisArgs(o *Options, port, fsync string) []string {
	return []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", o.Dir,
		"--appendonly", "yes", "--appendfsync", fsync, "--save", "",
		"--maxmemory", strconv.Itoa(o.MemoryMB) + "mb", "--maxmemory-policy", "volatile-lru",
		"--maxclients", "16384", "--daemonize", "no",
	}
}

// yrmcdsArgs writes the configuration file that yrmcds wants.
func yrmcdsArgs(o *Options, port string) ([]string, error) {
	replication, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Dir, "yrmcds.conf")
	lines := []string{
		"virtual_ip = 127.0.0.1", "port = " + port, "repl_port = " + replication,
		"max_connections = 0", "max_data_size = 10M", "log.threshold = warning",
		fmt.Sprintf("temp_dir = %q", o.Dir), fmt.Sprintf("memory_limit = %dM", o.MemoryMB),
	}
	if o.Threads > 0 {
		lines = append(lines, "workers = "+strconv.Itoa(o.Threads))
	}
	return []string{"-f", file}, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// freePort finds a TCP port that nobody listens on.
func freePort() (string, error) {
	addr, err := freeport.Address()
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(addr)
	return port, err
}
