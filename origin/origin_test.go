package origin

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func of(s string) Origin { return OfAddr(netip.MustParseAddr(s)) }

func TestHostsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"::1", "::2", false},
	} {
		if same := of(c.a) == of(c.b); same != c.same {
			t.Errorf("%s and %s are one: %v", c.a, c.b, same)
		}
	}
	if OfUser(0) == OfUser(1) || OfUser(0) == (Origin{}) {
		t.Error("users are not told apart")
	}
}

func TestLocal(t *testing.T) {
	for _, c := range []struct {
		o     Origin
		local bool
		text  string
	}{
		{of("127.0.0.1"), true, "127.0.0.1"},
		{of("::1"), true, "::1"},
		{of("192.0.2.1"), false, "192.0.2.1"},
		{of("2001:db8::1"), false, "2001:db8::/64"},
		{OfUser(7), true, "unix uid 7"},
		{OfPeer(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}), true, "127.0.0.1"},
		{Origin{}, false, "unknown"},
	} {
		if c.o.IsLocal() != c.local || c.o.String() != c.text {
			t.Errorf("%v: local %v, want %s, %v", c.o, c.o.IsLocal(), c.text, c.local)
		}
	}
}

func TestUnixPeersAreUsers(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if o := OfConn(conn); o != OfUser(uint32(os.Getuid())) {
		t.Errorf("the peer is %v", o)
	}
}
