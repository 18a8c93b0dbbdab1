package serve_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"cairn/serve"
)

// bindAll binds what -l with that list asks for.
func bindAll(t *testing.T, list string, port int) []net.Listener {
	t.Helper()
	asked, err := serve.ParseListen(list, port)
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := serve.Resolve(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	var bound []net.Listener
	for _, a := range addresses {
		l, late, err := serve.Bind(a)
		if err != nil || late {
			t.Fatalf("%v of %s: late %v, %v", a, list, late, err)
		}
		t.Cleanup(func() { l.Close() })
		bound = append(bound, l)
	}
	return bound
}

func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	l.Close()
}

// portOf is the port of a listener, as text.
func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func reachable(host, port string) bool {
	c, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestAnAddressOpensItsOwnFamilyOnly is what a firewall for IPv4 relies on.
func TestAnAddressOpensItsOwnFamilyOnly(t *testing.T) {
	needIPv6(t)
	for _, c := range []struct {
		list   string
		v4, v6 bool
	}{
		{"0.0.0.0", true, false},
		{"::", false, true},
		{"[::]", false, true},
	} {
		bound := bindAll(t, c.list, 0)
		port := portOf(bound[0])
		if v4, v6 := reachable("127.0.0.1", port), reachable("::1", port); len(bound) != 1 || v4 != c.v4 || v6 != c.v6 {
			t.Errorf("%s: %d sockets, IPv4 %v, IPv6 %v", c.list, len(bound), v4, v6)
		}
	}
}

// TestBothFamiliesOnOnePort asks for both, in three ways.
func TestBothFamiliesOnOnePort(t *testing.T) {
	needIPv6(t)
	for _, list := range []string{"0.0.0.0,::", "*", "127.0.0.1,::1,127.0.0.1"} {
		probe, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		port := probe.Addr().(*net.TCPAddr).Port
		probe.Close()
		bound := bindAll(t, list, port)
		if len(bound) != 2 || !reachable("127.0.0.1", portOf(bound[0])) || !reachable("::1", portOf(bound[1])) {
			t.Errorf("%s: sockets %v", list, bound)
		}
		for _, l := range bound {
			l.Close()
		}
	}
}

// TestANameStandsForAllItsAddresses compares with what the system says of the
// machine's own name.
func TestANameStandsForAllItsAddresses(t *testing.T) {
	hosts, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	if err != nil {
		t.Skip(err)
	}
	var got []string
	for _, l := range bindAll(t, "localhost", 0) {
		host, _, _ := net.SplitHostPort(l.Addr().String())
		got = append(got, host)
	}
	slices.Sort(hosts)
	slices.Sort(got)
	if !slices.Equal(got, slices.Compact(hosts)) {
		t.Errorf("bound %v, localhost is %v", got, hosts)
	}
}

func TestAnAddressWithAZone(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.IsLinkLocalUnicast() && ip.IP.To4() == nil {
				host := ip.IP.String() + "%" + i.Name
				if !reachable(host, portOf(bindAll(t, host, 0)[0])) {
					t.Errorf("nothing listens on %s", host)
				}
				return
			}
		}
	}
	t.Skip("no link-local address here")
}

// TestAnAddressThatIsLate is bound before the machine has it, as at a boot.
func TestAnAddressThatIsLate(t *testing.T) {
	for _, addr := range []string{"198.51.100.7:0", "[2001:db8::7]:0"} {
		if strings.HasPrefix(addr, "[") {
			needIPv6(t)
		}
		l, late, err := serve.Bind(serve.Address{Network: "tcp", Addr: addr})
		if err != nil || !late {
			t.Errorf("%s: late %v, %v", addr, late, err)
			continue
		}
		l.Close()
	}
}
