package config

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"cairn/policy"
	"cairn/upstream"
)

// Groups order the settings for the reader. Ignored holds memcached's flags
// that change nothing here.
const (
	Network    = "Network"
	Security   = "TLS, authentication and permissions"
	HTTP       = "HTTP API, metrics and console"
	Storage    = "Storage"
	Sessions   = "What it knows of sessions"
	Upstream   = "Moving from another store"
	Cluster    = "Cluster of several nodes (experimental)"
	Process    = "Process and logging"
	Ignored    = "Accepted for memcached's sake, without effect"
	annotation = "group"
)

// Groups lists the groups in their order.
var Groups = []string{Network, Security, HTTP, Storage, Sessions, Upstream, Cluster, Process, Ignored}

const (
	mebibyte = 1 << 20
	most     = 1 << 62
)

// definition fills a flag set group by group.
type definition struct {
	*pflag.FlagSet
	config *Config
	group  string
}

func (c *Config) define() *pflag.FlagSet {
	flags := pflag.NewFlagSet("cairn", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetNormalizeFunc(memcachedNames)
	d := &definition{FlagSet: flags, config: c}
	d.network()
	d.security()
	d.http()
	d.storage()
	d.sessions()
	d.upstream()
	d.cluster()
	d.process()
	d.ignored()
	return flags
}

// memcachedNames maps memcached's long names to Cairn's where they differ.
func memcachedNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "memory-limit":
		name = "memory"
	case "large-pages":
		name = "enable-largepages"
	}
	return pflag.NormalizedName(name)
}

// add defines one flag in the present group.
func (d *definition) add(v pflag.Value, name, short, usage string) *pflag.Flag {
	f := d.VarPF(v, name, short, usage)
	d.mark(f)
	return f
}

func (d *definition) mark(f *pflag.Flag) {
	f.Annotations = map[string][]string{annotation: {d.group}}
}

func (d *definition) text(at *string, name, short, usage string) {
	d.add(&value[string]{at, "string", func(s string) (string, error) { return s, nil },
		func(s string) string { return s }}, name, short, usage)
}

func (d *definition) list(at *[]string, byDefault []string, name, short, usage string) {
	d.StringSliceVarP(at, name, short, byDefault, usage)
	d.mark(d.Lookup(name))
}

func (d *definition) yes(at *bool, name, short, usage string) {
	d.BoolVarP(at, name, short, false, usage)
	d.mark(d.Lookup(name))
}

func (d *definition) network() {
	c := d.config
	d.group = Network
	c.Port, c.UnixMask, c.ConnLimit, c.LoginTimeout = 11211, 0o700, 1024, 10*time.Second
	d.add(intValue(&c.Port, 0, 65535), "port", "p",
		"TCP port of addresses that name none; 0 turns them off")
	d.list(&c.Listen, []string{"127.0.0.1"}, "listen", "l",
		"addresses to listen on: [notls:]host[:port], comma-separated or repeated; a name means all its addresses, * every interface, 0.0.0.0 and :: those of IPv4 and IPv6, port 0 any free port")
	d.text(&c.UnixSocket, "unix-socket", "s",
		"Unix socket to listen on; turns TCP off unless --listen is set too")
	d.add(modeValue(&c.UnixMask), "unix-mask", "a", "access mode of the Unix socket")
	d.add(intValue(&c.ConnLimit, 1, 1<<24), "conn-limit", "c",
		"limit of client connections; one more gets an error and is closed")
	d.add(intValue(&c.AddressConnLimit, 0, 1<<24), "conn-limit-per-address", "",
		"limit of client connections from one IPv4 address or IPv6 /64; it does not apply to loopback and Unix sockets; 0: no limit")
	d.add(secondsValue(&c.LoginTimeout), "login-timeout", "",
		"close a connection that has not authenticated for so long, where clients must; 0: never")
	d.add(secondsValue(&c.IdleTimeout), "idle-timeout", "",
		"close a connection that was idle for so long; 0: never")
	d.list(&c.Nodes, nil, "node-addresses", "",
		"host:port of every server that ElastiCache-style discovery (config get cluster) names; if empty, a node of a cluster names the nodes that answer now, a proxy itself, and another server none")
	d.add(udpValue{}, "udp-port", "U",
		"only 0: UDP is not supported, because of amplification attacks")
}

func (d *definition) security() {
	c := d.config
	d.group = Security
	c.TLSMinVersion, c.FlushAll = tls.VersionTLS12, "apply"
	d.yes(&c.TLS, "enable-ssl", "Z", "speak TLS on every TCP address not marked notls:")
	d.text(&c.TLSCert, "tls-cert", "", "PEM file of the server's certificate chain")
	d.text(&c.TLSKey, "tls-key", "", "PEM file of its private key")
	d.text(&c.TLSCA, "tls-ca", "", "PEM file of the authorities that sign clients' certificates")
	d.add(verifyValue(&c.TLSVerify), "tls-verify", "", "whether clients show a certificate")
	d.add(tlsVersionValue(&c.TLSMinVersion), "tls-min-version", "", "oldest TLS version to accept")
	d.text(&c.AuthFile, "auth-file", "Y",
		"file of user:password lines (plain or bcrypt); clients must authenticate: SASL PLAIN, or a first set carrying \"user password\"")
	d.yes(&c.SASL, "enable-sasl", "S",
		"as memcached's: needs --auth-file, or the same kind of file named by MEMCACHED_SASL_PWDB")
	d.yes(&c.EnableShutdown, "enable-shutdown", "A", "let clients stop the server with the shutdown command")
	d.add(oneOf(&c.FlushAll, "apply", "ignore", "refuse"), "flush-all", "",
		"what flush_all of a client does: apply it; ignore answers OK, counts and keeps all sessions; refuse answers an error")
	d.yes(&c.DisableFlush, "disable-flush-all", "F", "the same as --flush-all refuse")
	d.yes(&c.DisableDumping, "disable-dumping", "X", "refuse lru_crawler metadump, mgdump and stats cachedump")
	d.yes(&c.DisableWatching, "disable-watch", "W", "refuse watch, from memcached clients and over the HTTP API")
}

func (d *definition) http() {
	c := d.config
	d.group = HTTP
	c.HTTPListen = "127.0.0.1:8211"
	d.text(&c.HTTPListen, "http-listen", "",
		"addresses to listen on, as for listen, port 8211 if they name none; off turns it off. If the default is in use already, there is no HTTP API, and a warning says so")
	d.text(&c.HTTPTokenFile, "http-token-file", "",
		"file of lines \"name scope secret\", scope metrics, read or admin; needed on any address but loopback. CAIRN_HTTP_TOKENS holds such lines too")
	d.text(&c.HTTPCert, "http-tls-cert", "", "PEM file of its certificate chain; without one it speaks plain HTTP")
	d.text(&c.HTTPKey, "http-tls-key", "", "PEM file of its private key")
	d.text(&c.HTTPCA, "http-tls-ca", "", "PEM file of the authorities that sign clients' certificates")
	d.add(verifyValue(&c.HTTPVerify), "http-tls-verify", "", "whether clients show a certificate, which then replaces a token")
	d.yes(&c.HTTPAllowPlaintext, "http-allow-plaintext", "",
		"allow plain HTTP on addresses other than loopback, such as behind a proxy that encrypts")
}

func (d *definition) storage() {
	c := d.config
	d.group = Storage
	c.DataDir, c.Memory, c.MaxItemSize, c.Compression = "./cairn-data", 256*mebibyte, 8*mebibyte, "auto"
	c.Undo, c.LogFailoverAfter = 30*time.Minute, 100*time.Millisecond
	d.text(&c.DataDir, "data-dir", "", "directory of the sessions; it is created if it is missing")
	d.add(durabilityValue(&c.Durability), "durability", "",
		"sync: a write is on disk before its reply; interval:100ms: within that time after it")
	d.add(sizeValue(&c.MemoryTotal, 1, 0, most), "memory-total", "",
		"limit of all memory of the server, in bytes or with a suffix k, m, g; other settings of memory are cut to fit; 0 means six tenths of what the machine or its control group has")
	d.add(sizeValue(&c.Memory, mebibyte, 0, most), "memory", "m",
		"memory for hot sessions, in megabytes or with a suffix k, m, g; the rest is read from disk; the default is smaller where memory-total is small")
	d.add(sizeValue(&c.MaxItemSize, 1, 1<<10, 1<<30), "max-item-size", "I",
		"largest value, in bytes or with a suffix k, m, g")
	d.add(sizeValue(&c.BufferMemory, 1, 0, most), "buffer-memory", "",
		"limit of memory for large requests and answers of all connections, with a suffix k, m, g; at the limit they wait for each other; 0 means up to a fifth of memory-total")
	d.add(oneOf(&c.Compression, "auto", "dict", "block", "off"), "compression", "",
		"how values are compressed: each with a dictionary trained from the sessions, by blocks of the files, or not at all; auto takes what measured best")
	d.add(sizeValue(&c.DiskReserve, 1, 0, most), "disk-reserve", "",
		"free disk space to keep, with a suffix k, m, g; below it writes are refused; 0 means 256m, or an eighth of a disk of less than 2g")
	d.text(&c.LogFailoverDir, "log-failover-dir", "",
		"directory on another disk, to which the log is written while the disk of data-dir is slow or fails; belongs to this server alone, and is needed at each start, up to the first one without this setting; if empty, writes wait for the disk")
	d.add(durationValue(&c.LogFailoverAfter, 10*time.Millisecond, time.Minute, "from 10ms to 1m"), "log-failover-after", "",
		"how long a write or sync of the log may take before it is written to log-failover-dir, such as 100ms")
	d.add(durationText(&c.Undo), "undo", "",
		"how long flush_all, bulk deletes and ends of more than 100 sessions of a user can be undone, such as 30m or 2h; what they delete takes disk space until then; 0s: off; see cairn undo")
}

func (d *definition) sessions() {
	c := d.config
	d.group = Sessions
	d.list(&c.Sessions, nil, "sessions", "",
		"client libraries whose keys are sessions: "+strings.Join(policy.PresetNames(), ", ")+"; see cairn rules")
	d.text(&c.SessionRules, "session-rules", "",
		"YAML file of rules that say which keys are sessions and how long they may live; reloaded on SIGHUP")
	d.add(controlPrefix(&c.ControlPrefix), "control-prefix", "",
		"let clients list and end a user's sessions by keys with this prefix, such as cairn: (get cairn:owner:ID, delete cairn:owner:ID, delete cairn:others:KEY): every client can then log out every user; empty: off")
}

func (d *definition) upstream() {
	c := d.config
	d.group = Upstream
	c.UpstreamTimeout = upstream.DefaultTimeout
	d.list(&c.Upstream, nil, "upstream", "",
		"the store that sessions are moved from; it is asked for sessions that are not here yet: memcached://host:port, memcacheds:// (TLS), memcached+unix:///path, redis://host:port/database, rediss:// or redis+unix:///path?db=N; with several servers, list them all: each is asked")
	d.yes(&c.Mirror, "mirror", "", "copy every change to the upstream, to each of its servers, so that clients can go back to it")
	d.text(&c.UpstreamAuthFile, "upstream-auth-file", "", "file with the password of the upstream, or user:password")
	d.text(&c.UpstreamCA, "upstream-ca", "", "PEM file of the authorities that sign its certificate; without one the system's are trusted")
	d.text(&c.UpstreamCert, "upstream-cert", "", "PEM file of the client certificate for it")
	d.text(&c.UpstreamKey, "upstream-key", "", "PEM file of its private key")
	d.add(durationValue(&c.UpstreamTimeout, time.Millisecond, time.Minute, "from 1ms to 1m"), "upstream-timeout", "",
		"timeout of a request to the upstream, such as 500ms; after it, a session counts as absent")
}

// parseReplaceAfter reads a duration from 10s to 30 days; 0 is never.
func parseReplaceAfter(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d != 0 && d < 10*time.Second || d > 30*24*time.Hour {
		return 0, errors.New("must be a duration from 10s to 720h, or 0")
	}
	return d, nil
}

func (d *definition) cluster() {
	c := d.config
	d.group = Cluster
	c.BootstrapExpect, c.ClusterName, c.Role, c.Patience = 3, "cairn", "server", 10*time.Second
	c.ReplaceAfter = 10 * time.Minute
	d.add(oneOf(&c.Role, "server", "proxy"), "role", "",
		"role of this process: server keeps sessions, alone or as a node of a cluster; proxy keeps nothing, finds the nodes of a cluster by join, and makes clients wait while nodes fail; for each host of an application")
	d.text(&c.ClusterListen, "cluster-listen", "",
		"host:port to listen on for the other nodes of a cluster; makes this server a node of one. The flags of a node's first start work for later ones")
	d.text(&c.ClusterAdvertise, "cluster-advertise", "",
		"host:port at which other nodes reach this one; if empty, that of cluster-listen")
	d.text(&c.ClientAdvertise, "client-advertise", "",
		"host:port at which clients reach this node or proxy, which discovery (config get cluster) names; if empty, the first address of listen that others reach, with the host of cluster-advertise if that is every interface")
	d.list(&c.Join, nil, "join", "",
		"host:port of other nodes, or of a name that has the addresses of all, or without a port the name of SRV records, such as _cluster._tcp.example.com; looked up again and again, and this node itself may be among them; for a proxy, of any nodes")
	d.add(durationValue(&c.Patience, 100*time.Millisecond, 10*time.Minute, "from 100ms to 10m"), "patience", "",
		"how long a request waits while there is no leader, or no node answers a proxy, before it fails, such as 10s")
	d.add(intValue(&c.BootstrapExpect, 1, 99), "bootstrap-expect", "",
		"number of nodes of a new cluster, which starts once all of them know each other; 3 or 5")
	d.add(&value[time.Duration]{&c.ReplaceAfter, "duration", parseReplaceAfter, time.Duration.String}, "replace-after", "",
		"replace a node that was silent for so long with a new one, if there is one; 0: never")
	d.BoolVarP(&c.FastFailover, "fast-failover", "", true,
		"take a node for stopped whose connection was closed, and which refuses a new one; false: elect another leader only when it is silent, in networks that refuse connections to nodes that are running")
	d.mark(d.Lookup("fast-failover"))
	d.text(&c.Zone, "zone", "",
		"rack, hall or zone that this node is in: a new node that takes the place of another is preferably in a zone that no other member is in")
	d.text(&c.ClusterName, "cluster-name", "", "nodes of another cluster are refused")
	d.text(&c.ClusterCert, "cluster-cert", "", "PEM file of the certificate that this node shows to others")
	d.text(&c.ClusterKey, "cluster-key", "", "PEM file of its private key")
	d.text(&c.ClusterCA, "cluster-ca", "",
		"PEM file of the authority that has issued the certificates of all nodes, and of nobody else; the names in them are not checked")
	d.yes(&c.ClusterPlaintext, "cluster-plaintext", "",
		"allow traffic between nodes without TLS on addresses other than loopback, in a network that nobody else reaches")
}

func (d *definition) process() {
	c := d.config
	d.group = Process
	c.LogFormat, c.LogLevel, c.TimerSlack = "text", "info", 250*time.Microsecond
	d.text(&c.File, "config", "", "YAML (.yaml, .yml) or TOML (.toml) file with any of these settings by their long names")
	d.add(intValue(&c.Threads, 0, 1<<10), "threads", "t", "processors to use; 0 uses all")
	d.add(durationValue(&c.TimerSlack, 0, 10*time.Millisecond, "from 0 to 10ms, such as 250us"), "timer-slack", "",
		"how late the kernel may wake up a thread that waits for a time, on Linux: a sync of the log then costs fewer wake-ups, and takes less processor time; 0 leaves it as it is, mostly 50µs, and so does a proxy")
	d.text(&c.User, "user", "u", "user to become when started as root; the data directory will belong to it")
	d.yes(&c.Daemon, "daemon", "d", "go into the background once the server answers")
	d.text(&c.PIDFile, "pidfile", "P", "file to write the process id to")
	d.yes(&c.LockMemory, "lock-memory", "k", "lock all memory so that it is never swapped")
	d.yes(&c.CoreDumps, "enable-coredumps", "r", "raise the limit on core files to what the system allows")
	d.CountVarP(&c.Verbose, "verbose", "v", "log debug messages too; to see what clients do, connect and say watch fetchers mutations")
	d.mark(d.Lookup("verbose"))
	d.add(oneOf(&c.LogFormat, "text", "json"), "log-format", "", "form of the log's lines")
	d.add(oneOf(&c.LogLevel, "debug", "info", "warn", "error"), "log-level", "", "lowest level that is logged")
	d.text(&c.LogFile, "log-file", "", "file to log to, reopened on SIGHUP; if empty, standard error, and in the background the journal or cairn.log in the data directory")
	d.add(&suboptions{config: c}, "extended", "o",
		"memcached's extended options, comma-separated: ssl_* and idle_timeout set Cairn's own, those about slabs and LRU are accepted without effect")
}

// udpValue accepts only a UDP port of 0, as scripts give it.
type udpValue struct{}

func (udpValue) Type() string   { return "number" }
func (udpValue) String() string { return "0" }

func (udpValue) Set(text string) error {
	if text != "0" {
		return errors.New("UDP is not supported, on purpose: servers that answer it are used for amplification attacks")
	}
	return nil
}

// inert is a flag of memcached's that changes nothing.
type inert struct {
	config *Config
	name   string
	reason string
	isBool bool
}

func (i *inert) String() string { return "" }

func (i *inert) Type() string {
	if i.isBool {
		return "bool"
	}
	return "any"
}

func (i *inert) Set(text string) error {
	if !i.isBool || text != "false" {
		i.config.Warnings = append(i.config.Warnings, i.name+" has no effect: "+i.reason)
	}
	return nil
}

func (d *definition) inert(name, short, reason string, isBool bool) {
	f := d.add(&inert{d.config, name, reason, isBool}, name, short, reason)
	if isBool {
		f.NoOptDefVal = "true"
	}
}

func (d *definition) ignored() {
	d.group = Ignored
	const noSlabs = "sessions are not kept in slabs"
	d.inert("protocol", "B", "text, meta and binary are all spoken, whatever a connection begins with", false)
	d.inert("max-reqs-per-event", "R", "connections always take turns", false)
	d.inert("listen-backlog", "b", "the queue of waiting connections is as long as the kernel's somaxconn allows", false)
	d.inert("slab-growth-factor", "f", noSlabs, false)
	d.inert("slab-min-size", "n", noSlabs, false)
	d.inert("enable-largepages", "L", "the Go runtime decides on large pages by itself", true)
	d.inert("disable-evictions", "M", "no session is evicted when memory is short: it is on disk", true)
	d.inert("disable-cas", "C", "every item has its version anyway", true)
	d.inert("memory-file", "e", "sessions survive a restart anyway, see data-dir", false)
	d.inert("napi-ids", "N", "connections are not bound to network queues", false)
	d.inert("prefix-delimiter", "D", "the delimiter is the colon; stats detail on turns the statistics on", false)
}
