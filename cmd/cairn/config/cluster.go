package config

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"cairn/cluster/seed"
)

// Clustered reports whether the server is to be a node of a cluster.
func (c *Config) Clustered() bool { return c.ClusterListen != "" }

// Proxy reports whether the server is to be a proxy for a cluster.
func (c *Config) Proxy() bool { return c.Role == "proxy" }

// runtimeDir is where the socket of a proxy is by which another process takes it over:
// a directory of its own, named after where it listens, in that of the service
// manager or in the one for temporary files.
func (c *Config) runtimeDir(environ map[string]string) string {
	base, _, _ := strings.Cut(environ["RUNTIME_DIRECTORY"], ":")
	if base == "" {
		base = os.TempDir()
	}
	h := fnv.New64a()
	fmt.Fprint(h, c.Listen, c.Port, c.UnixSocket)
	return filepath.Join(base, fmt.Sprintf("cairn-proxy-%016x", h.Sum64()))
}

// checkProxy checks what is said of the cluster to a proxy, and turns off what a proxy
// does not have.
func (c *Config) checkProxy() error {
	var errs []error
	for _, name := range []string{
		"cluster-listen", "cluster-advertise", "bootstrap-expect", "replace-after", "fast-failover", "zone", "upstream", "mirror", "durability", "memory", "compression", "disk-reserve", "log-failover-dir",
	} {
		if f := c.flags.Lookup(name); f.Value.String() != f.DefValue {
			errs = append(errs, fmt.Errorf("%s has no effect on a proxy: it keeps no sessions", name))
		}
	}
	loopback := true
	for _, address := range c.Join {
		errs = append(errs, checkJoin(address))
		loopback = loopback && onLoopback(address)
	}
	if len(c.Join) == 0 {
		errs = append(errs, errors.New("role proxy needs join: where nodes of the cluster are"))
	}
	errs = append(errs, c.checkClientAdvertise())
	if c.ClusterName == "" {
		errs = append(errs, errors.New("cluster-name must not be empty"))
	}
	errs = append(errs, c.checkClusterSecurity("join", loopback))
	c.Memory, c.Undo, c.DisableWatching = 0, 0, true
	return errors.Join(errs...)
}

// zoneName is how a zone may be called; none is one.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9._-]{0,63}$`)

// checkCluster checks what is said of the cluster.
func (c *Config) checkCluster() error {
	if c.Proxy() {
		return c.checkProxy()
	}
	if !c.Clustered() {
		for _, name := range []string{
			"cluster-advertise", "client-advertise", "join", "bootstrap-expect", "replace-after", "fast-failover", "zone", "cluster-name", "cluster-cert", "cluster-key", "cluster-ca", "cluster-plaintext", "patience",
		} {
			if f := c.flags.Lookup(name); f.Value.String() != f.DefValue {
				return fmt.Errorf("%s needs cluster-listen", name)
			}
		}
		return nil
	}
	errs := []error{checkAddress("cluster-listen", c.ClusterListen, true)}
	if c.ClusterAdvertise == "" {
		c.ClusterAdvertise = c.ClusterListen
	}
	if err := checkAddress("cluster-advertise", c.ClusterAdvertise, false); err != nil && errs[0] == nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.checkClientAdvertise())
	for _, address := range c.Join {
		errs = append(errs, checkJoin(address))
	}
	switch {
	case c.ClusterName == "":
		errs = append(errs, errors.New("cluster-name must not be empty"))
	case !zoneName.MatchString(c.Zone):
		errs = append(errs, fmt.Errorf("zone %q must have at most 63 letters, digits, dots, dashes and underscores", c.Zone))
	case len(c.Join) == 0 && c.BootstrapExpect > 1:
		errs = append(errs, errors.New("cluster-listen needs join: where the other nodes are"))
	case len(c.Upstream) > 0:
		errs = append(errs, errors.New("upstream and cluster-listen do not go together yet"))
	case c.Durability.Interval > 0:
		errs = append(errs, errors.New("durability interval and cluster-listen do not go together: what a node acknowledges is on the disks of most nodes"))
	}
	errs = append(errs, c.checkClusterSecurity("cluster-listen", errs[0] != nil || onLoopback(c.ClusterListen)))
	return errors.Join(errs...)
}

// checkClusterSecurity checks how nodes are talked to. loopback says that nobody else
// reaches the addresses of a flag.
func (c *Config) checkClusterSecurity(flag string, loopback bool) error {
	given := 0
	for _, file := range []string{c.ClusterCert, c.ClusterKey, c.ClusterCA} {
		if file != "" {
			given++
		}
	}
	switch {
	case given != 0 && given != 3:
		return errors.New("cluster-cert, cluster-key and cluster-ca go together")
	case given == 3 && c.ClusterPlaintext:
		return errors.New("cluster-plaintext contradicts cluster-cert")
	case given == 0 && !c.ClusterPlaintext && !loopback:
		return fmt.Errorf("%s with another address than one of loopback needs cluster-cert, cluster-key and cluster-ca, or cluster-plaintext", flag)
	}
	return nil
}

// checkAddress reports what is wrong with a host:port; any says that it may be every
// address of the machine.
func checkAddress(flag, address string, any bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %q must be host:port", flag, address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%s %q needs a port from 1 to 65535", flag, address)
	}
	if ip := net.ParseIP(host); !any && (host == "" || ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("%s %q is not an address that others can reach: set one with %s", flag, address, flag)
	}
	return nil
}

// srvName is how SRV records are called: _service._protocol.domain.
var srvName = regexp.MustCompile(`^_[A-Za-z0-9_-]+\._[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?$`)

// checkJoin reports what is wrong with an entry of join.
func checkJoin(entry string) error {
	name, port, err := net.SplitHostPort(entry)
	switch {
	case !seed.IsSRV(entry) && err == nil:
		return checkAddress("join", entry, false)
	case srvName.MatchString(entry):
		return nil
	case seed.IsSRV(entry) && srvName.MatchString(name):
		return fmt.Errorf("join %q must be %s alone: SRV records have the port, so leave out :%s", entry, name, port)
	}
	return fmt.Errorf("join %q must be host:port, or the name of SRV records, such as _cluster._tcp.example.com", entry)
}

func (c *Config) checkClientAdvertise() error {
	if c.ClientAdvertise == "" {
		return nil
	}
	return checkAddress("client-advertise", c.ClientAdvertise, false)
}

// ClientAddress is host:port where clients reach this node or proxy, as far as that is
// known; "" if not.
func (c *Config) ClientAddress() string {
	if c.ClientAdvertise != "" {
		return c.ClientAdvertise
	}
	addresses, err := c.Addresses()
	if err != nil {
		return "" // it does not start
	}
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a.Addr)
		if a.Network != "tcp" || err != nil || port == "0" {
			continue
		}
		ip := net.ParseIP(host)
		switch every := host == "" || ip != nil && ip.IsUnspecified(); {
		case every && c.Proxy(): // it has no name
		case every:
			advertised, _, _ := net.SplitHostPort(c.ClusterAdvertise)
			return net.JoinHostPort(advertised, port)
		case c.Proxy() || !onLoopback(a.Addr) || onLoopback(c.ClusterAdvertise):
			return a.Addr
		}
	}
	return ""
}

// onLoopback reports whether nobody outside of the machine reaches an address.
func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
