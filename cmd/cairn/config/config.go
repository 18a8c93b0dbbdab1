// Package config says what a Cairn server can be told, and reads it: from
// flags, from CAIRN_ variables of the environment, from a YAML or TOML file.
//
// One list of flags (see Flags) is the only definition of every setting: its
// name, default, form and meaning. Environment, file and documentation follow
// it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"cairn/engine"
	"cairn/migrate"
	"cairn/policy"
	"cairn/systemd"
	"cairn/tlsconfig"
)

// Config is everything `cairn serve` can be told. Load fills it; Flags gives
// each field its default.
type Config struct {
	File string // the configuration file, "" for none

	// Where it listens.
	Port        int // 0: no TCP, except where Listen names a port
	Listen      []string
	UnixSocket  string
	UnixMask    fs.FileMode
	Nodes       []string // that discovery names; none: see its flag
	ConnLimit   int
	IdleTimeout time.Duration // 0: never

	AddressConnLimit int           // connections from one address; 0: no limit
	LoginTimeout     time.Duration // 0: never

	// Who may do what.
	TLS             bool
	TLSCert         string
	TLSKey          string
	TLSCA           string
	TLSVerify       tlsconfig.ClientVerification
	TLSMinVersion   uint16 // as in crypto/tls
	AuthFile        string
	SASL            bool
	EnableShutdown  bool
	FlushAll        string // apply, ignore or refuse
	DisableFlush    bool   // -F: FlushAll is refuse
	DisableDumping  bool
	DisableWatching bool

	// The HTTP API.
	HTTPListen         string // "off": none
	HTTPTokenFile      string
	HTTPTokens         string // from the environment only
	HTTPCert           string
	HTTPKey            string
	HTTPCA             string
	HTTPVerify         tlsconfig.ClientVerification
	HTTPAllowPlaintext bool

	// What it keeps, and how.
	DataDir     string
	Durability  engine.Durability
	MemoryTotal int64 // bytes; 0: a share of the memory there is
	Memory      int64 // bytes of hot sessions
	MaxItemSize int64 // bytes

	BufferMemory int64 // bytes; 0: a share of MemoryTotal
	Compression  string
	DiskReserve  int64 // bytes; 0: the store's own default

	LogFailoverDir   string // "": the log does not fail over
	LogFailoverAfter time.Duration

	Undo time.Duration

	// The store that sessions are moved from.
	Upstream         []string
	UpstreamAuthFile string
	UpstreamCA       string
	UpstreamCert     string
	UpstreamKey      string
	UpstreamTimeout  time.Duration
	Mirror           bool

	// The cluster that it is a node of, or a proxy for.
	Role             string // server or proxy
	Patience         time.Duration
	ClusterListen    string // "": it is no node
	ClusterAdvertise string // where others reach it
	ClientAdvertise  string // where clients do; "": see ClientAddress
	Join             []string
	BootstrapExpect  int
	ReplaceAfter     time.Duration // 0: never
	FastFailover     bool          // a node that refuses connections is gone
	ClusterName      string
	Zone             string
	ClusterCert      string
	ClusterKey       string
	ClusterCA        string
	ClusterPlaintext bool

	// What it knows of sessions.
	Sessions     []string // presets of package policy
	SessionRules string   // a file of rules, "" for none

	ControlPrefix string // of keys that list and end sessions; "": there are none

	Rules *policy.Rules // those of Sessions and SessionRules

	// The process.
	Threads    int // 0: one per processor
	TimerSlack time.Duration
	User       string
	Daemon     bool
	PIDFile    string
	LockMemory bool
	CoreDumps  bool
	Verbose    int
	LogFormat  string // text or json
	LogLevel   string // debug, info, warn or error
	LogFile    string // "" for standard error
	OwnLog     bool   // LogFile is in the data directory because nobody named one

	// Warnings name what was given but has no effect, with the reason.
	Warnings []string

	flags  *pflag.FlagSet
	origin map[string]string // flag name -> where its value came from
}

// New returns a Config with every default set.
func New() *Config {
	c := &Config{origin: map[string]string{}}
	c.flags = c.define()
	return c
}

// HTTP reports whether there is to be an HTTP API, and HTTPIsDefault whether
// nobody asked for its address.
func (c *Config) HTTP() bool          { return c.HTTPListen != "off" && c.HTTPListen != "" }
func (c *Config) HTTPIsDefault() bool { return !c.flags.Changed("http-listen") }

// MemoryIsDefault reports whether nobody has said how much memory hot sessions
// may take.
func (c *Config) MemoryIsDefault() bool { return !c.flags.Changed("memory") }

// Flags are the settings as command-line flags, bound to c.
func (c *Config) Flags() *pflag.FlagSet { return c.flags }

// validate checks what no single flag can check alone.
func (c *Config) validate() error {
	var errs []error
	if c.TLS && (c.TLSCert == "" || c.TLSKey == "") {
		errs = append(errs, errors.New("enable-ssl needs tls-cert and tls-key (memcached: -o ssl_chain_cert=...,ssl_key=...)"))
	}
	if c.TLS && c.TLSVerify != tlsconfig.NoClients && c.TLSCA == "" {
		errs = append(errs, fmt.Errorf("tls-verify %v needs tls-ca, the authorities whose certificates clients may show (memcached: -o ssl_ca_cert=...)", c.TLSVerify))
	}
	if (c.HTTPCert == "") != (c.HTTPKey == "") {
		errs = append(errs, errors.New("http-tls-cert and http-tls-key go together"))
	}
	if c.HTTPVerify != tlsconfig.NoClients && (c.HTTPCA == "" || c.HTTPCert == "") {
		errs = append(errs, fmt.Errorf("http-tls-verify %v needs http-tls-ca and http-tls-cert", c.HTTPVerify))
	}
	if c.SASL && c.AuthFile == "" {
		errs = append(errs, errors.New("enable-sasl needs auth-file, or MEMCACHED_SASL_PWDB in the environment"))
	}
	errs = append(errs, c.checkUpstream(), c.checkCluster())
	if err := c.openRules(); err != nil {
		errs = append(errs, fmt.Errorf("sessions and session-rules: %w", err))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("data-dir must not be empty"))
	}
	if f := c.flags.Lookup("log-failover-after"); c.LogFailoverDir == "" && f.Value.String() != f.DefValue {
		errs = append(errs, errors.New("log-failover-after needs log-failover-dir"))
	}
	if _, err := c.HTTPAddresses(); err != nil {
		errs = append(errs, err)
	}
	addresses, err := c.Addresses()
	if err != nil {
		errs = append(errs, err)
	} else if len(addresses) == 0 {
		errs = append(errs, errors.New("nothing to listen on: port is 0, and neither listen nor unix-socket names an address"))
	}
	return errors.Join(errs...)
}

// checkUpstream checks what is said of the store that sessions are moved from.
func (c *Config) checkUpstream() error {
	switch {
	case len(c.Upstream) == 0 && c.Mirror:
		return errors.New("mirror needs upstream")
	case (c.UpstreamCert == "") != (c.UpstreamKey == ""):
		return errors.New("upstream-cert and upstream-key go together")
	}
	for _, target := range c.Upstream {
		if _, err := migrate.OpenSource(target, migrate.Credentials{}, nil); err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
	}
	return nil
}

// openRules loads what the server is to know of sessions.
func (c *Config) openRules() (err error) {
	c.Rules, err = policy.Open(c.Sessions, c.SessionRules)
	return err
}

// tokensVariable is not a flag, because everyone on a machine can read the
// command lines of its processes.
const tokensVariable = EnvPrefix + "HTTP_TOKENS"

// OwnLogName is the file in the data directory that a daemon logs to for which
// nobody named another.
const OwnLogName = "cairn.log"

// adopt takes over what has a place of its own in the environment.
func (c *Config) adopt(environ map[string]string) {
	if c.Proxy() && !c.flags.Changed("data-dir") {
		c.DataDir = c.runtimeDir(environ)
	}
	c.HTTPTokens = environ[tokensVariable]
	if pwdb := environ["MEMCACHED_SASL_PWDB"]; pwdb != "" && c.SASL && c.AuthFile == "" {
		c.AuthFile = pwdb
	}
	if c.DisableFlush {
		c.FlushAll = "refuse"
	}
	if c.Daemon && c.LogFile == "" && !systemd.StderrIsJournal() {
		c.LogFile, c.OwnLog = filepath.Join(c.DataDir, OwnLogName), true
	}
}
