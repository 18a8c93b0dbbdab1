//go:build linux

// Package bench compares session servers: it starts Cairn and its peers side
// by side, puts the same traffic on each in alternating rounds, and reports
// what they gave and what they cost.
//
// The folders follow a run: peer starts the servers, payload makes sessions,
// workload turns them into traffic, load carries the traffic out and measures
// it, report writes down what came of it. An experiment in this package says
// which of that is done in what order.
package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/bench/payload"
	"cairn/bench/peer"
)

// Config says what to measure. The zero value of a field is its default.
type Config struct {
	Workloads []string    // names out of Workloads(); default all
	Peers     []peer.Spec // default all
	Baseline  string      // name of the peer that ratios refer to; default memcached, else the first

	Quick    bool          // small and short: shows that it works, measures nothing
	Rounds   int           // default 5
	Duration time.Duration // of a round; default 5 s
	Warmup   time.Duration // before the first round; default 2 s
	Long     time.Duration // of the experiments about time itself; default 10 min

	Connections int             // default 50
	Pipeline    int             // operations at once in pipelined traffic; default 16
	Sessions    int             // in a population; default 100,000
	Storm       int             // sessions that expire at once; default 1,000,000
	Takeovers   int             // in takeover; default 10
	Rates       []int           // operations per second in rates; default 1,000, 5,000, 10,000
	Growth      []int           // default 10^4, 10^5, 10^6, 10^7
	ReadDelays  []time.Duration // of the disk in cold; default 2 ms, 20 ms
	Timeout     time.Duration   // of a session; default 30 min
	Payload     payload.Options // default payload.Mix
	MemoryMB    int             // for each server; default 1024
	Rate        string          // open loop for steady traffic: turns per second, or "50%" of the server's peak; default closed
	Protocol    string          // text (default), meta or binary
	Ordinary    bool            // gomemcache instead of the fast client

	ServerCPUs []int // default: the first half of the cores, shared with none
	ClientCPUs []int // default: the others
	Unpinned   bool  // leave threads where the kernel puts them

	Seed     uint64
	Dir      string    // for the servers' files; default a temporary directory
	Out      string    // where reports go; "" writes none
	Progress io.Writer // nil: silent
	Command  string    // that started the run, for the report
}

// prepare fills in the defaults and checks the rest.
func (c *Config) prepare() error {
	if c.Quick {
		c.makeQuick()
	}
	setDefault(&c.Rounds, 5)
	setDefault(&c.Duration, 5*time.Second)
	setDefault(&c.Warmup, 2*time.Second)
	setDefault(&c.Long, 10*time.Minute)
	setDefault(&c.Connections, 50)
	setDefault(&c.Pipeline, 16)
	setDefault(&c.Sessions, 100_000)
	setDefault(&c.Storm, 1_000_000)
	setDefault(&c.Takeovers, 10)
	setDefault(&c.Timeout, 30*time.Minute)
	setDefault(&c.MemoryMB, 1024)
	setDefault(&c.Protocol, "text")
	if len(c.Rates) == 0 {
		c.Rates = []int{1000, 5000, 10_000}
	}
	if len(c.Growth) == 0 {
		c.Growth = []int{10_000, 100_000, 1_000_000, 10_000_000}
	}
	if len(c.ReadDelays) == 0 {
		c.ReadDelays = []time.Duration{2 * time.Millisecond, 20 * time.Millisecond}
	}
	if len(c.Workloads) == 0 {
		c.Workloads = Workloads()
		if c.Ordinary {
			c.Workloads = slices.DeleteFunc(c.Workloads, reconnects)
		}
	}
	if c.Ordinary && slices.ContainsFunc(c.Workloads, reconnects) {
		return errors.New("bench: the ordinary client keeps its connections, so it cannot run php")
	}
	if c.Takeovers < 0 {
		return fmt.Errorf("bench: %d takeovers: want a positive number", c.Takeovers)
	}
	for _, rate := range c.Rates {
		if rate <= 0 {
			return fmt.Errorf("bench: rate %d: want a positive number of operations per second", rate)
		}
	}
	if len(c.Peers) == 0 {
		c.Peers = allPeers()
	}
	c.Payload.Seed = c.Seed
	if err := c.checkPeers(); err != nil {
		return err
	}
	if _, _, err := c.rate(); err != nil {
		return err
	}
	if c.Sessions < c.Connections {
		return fmt.Errorf("bench: %d sessions are fewer than %d connections", c.Sessions, c.Connections)
	}
	return c.placeThreads()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// makeQuick shrinks what was not chosen.
func (c *Config) makeQuick() {
	setDefault(&c.Rounds, 2)
	setDefault(&c.Duration, 200*time.Millisecond)
	setDefault(&c.Warmup, 50*time.Millisecond)
	setDefault(&c.Long, 3*time.Second)
	setDefault(&c.Connections, 10)
	setDefault(&c.Sessions, 2000)
	setDefault(&c.Storm, 5000)
	setDefault(&c.Takeovers, 2)
	setDefault(&c.MemoryMB, 64)
	setDefault(&c.Payload.Count, 500)
	if len(c.Rates) == 0 {
		c.Rates = []int{200, 500}
	}
	if len(c.Growth) == 0 {
		c.Growth = []int{1000, 3000}
	}
}

func allPeers() []peer.Spec {
	var specs []peer.Spec
	for _, name := range peer.Bases() {
		specs = append(specs, peer.Spec{Name: name, Base: name})
	}
	return specs
}

// checkPeers makes sure that every peer is installed and can do what is asked,
// and settles the baseline.
func (c *Config) checkPeers() error {
	var errs []error
	names := map[string]bool{}
	for _, spec := range c.Peers {
		if names[spec.Name] {
			errs = append(errs, fmt.Errorf("bench: two servers are called %q", spec.Name))
		}
		names[spec.Name] = true
		if _, err := spec.Find(); err != nil {
			errs = append(errs, err)
		}
		if _, err := spec.Dialect(c.Protocol); err != nil {
			errs = append(errs, err)
		}
		if c.Ordinary && !spec.SpeaksMemcached() {
			errs = append(errs, fmt.Errorf("bench: %s does not speak memcached's protocol, as the ordinary client does", spec.Name))
		}
	}
	switch {
	case c.Baseline != "" && !names[c.Baseline]:
		errs = append(errs, fmt.Errorf("bench: the baseline %q is not among the servers", c.Baseline))
	case c.Baseline == "" && names["memcached"]:
		c.Baseline = "memcached"
	case c.Baseline == "":
		c.Baseline = c.Peers[0].Name
	}
	return errors.Join(errs...)
}

// rate returns the rate of an open loop, in turns per second or as a part of the
// server's peak; both 0 for a closed loop.
func (c *Config) rate() (turns, part float64, err error) {
	text, percent := strings.CutSuffix(c.Rate, "%")
	if text == "" {
		return 0, 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		return 0, 0, fmt.Errorf("bench: rate %q: want turns per second, or a percentage of the peak", c.Rate)
	}
	if percent {
		return 0, n / 100, nil
	}
	return n, 0, nil
}

// makeDir makes sure of a directory for the servers' files. remove deletes it
// if it is a temporary one.
func (c *Config) makeDir() (remove func() error, err error) {
	if c.Dir != "" {
		return func() error { return nil }, os.MkdirAll(c.Dir, 0o700)
	}
	c.Dir, err = os.MkdirTemp("", "cairn-bench-")
	return func() error { return os.RemoveAll(c.Dir) }, err
}
