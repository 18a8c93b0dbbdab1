package seed_test

import (
	"slices"
	"strings"
	"testing"

	"cairn/cluster/seed"
	"cairn/cluster/seed/dnstest"
)

// TestResolve looks up hosts and SRV records, which change meanwhile.
func TestResolve(t *testing.T) {
	const entry = "_cluster._tcp.cairn.test"
	names := dnstest.New(t)
	names.Addresses("all.cairn.test", "10.0.0.1", "10.0.0.2", "fd00::3")
	names.Addresses("node1.cairn.test", "10.0.0.1")
	names.Addresses("node2.cairn.test", "10.0.0.2", "10.1.0.2", "fd00::2")
	// resolved compares what entries resolve to, and parts of what is said of the others.
	resolved := func(entries []string, want []string, reasons ...string) {
		t.Helper()
		addresses, failures := seed.Resolve(t.Context(), names.Resolver(), entries)
		slices.Sort(addresses)
		if !slices.Equal(addresses, want) {
			t.Errorf("%q: %q, want %q", entries, addresses, want)
		}
		if len(failures) != len(reasons) {
			t.Fatalf("%q: %q, want %q", entries, failures, reasons)
		}
		for i, reason := range reasons {
			if !strings.HasPrefix(failures[i], reason) {
				t.Errorf("%q: %q, want %q", entries, failures[i], reason)
			}
		}
	}

	resolved([]string{"127.0.0.1:7211", "[::1]:7212"}, []string{"127.0.0.1:7211", "[::1]:7212"})
	resolved([]string{"all.cairn.test:7211"}, []string{"10.0.0.1:7211", "10.0.0.2:7211", "[fd00::3]:7211"})
	resolved([]string{"gone.cairn.test:1", "node1.cairn.test:2", "no-port"}, []string{"10.0.0.1:2"},
		"gone.cairn.test:1: lookup gone.cairn.test", "no-port: address no-port: missing port")

	resolved([]string{entry}, nil, entry+": lookup "+entry) // not yet
	names.SRV(entry, "20 5 7211 node1.cairn.test", "10 0 7212 node2.cairn.test.")
	resolved([]string{entry}, []string{"10.0.0.1:7211", "10.0.0.2:7212", "10.1.0.2:7212", "[fd00::2]:7212"})
	resolved([]string{entry + "."}, []string{"10.0.0.1:7211", "10.0.0.2:7212", "10.1.0.2:7212", "[fd00::2]:7212"})
	names.SRV(entry, "0 0 7213 gone.cairn.test", "0 0 7214 NODE1.cairn.test")
	resolved([]string{entry, "[::1]:1"}, []string{"10.0.0.1:7214", "[::1]:1"}, entry+": lookup gone.cairn.test.")
	names.SRV(entry, "0 0 7211 no_host!.cairn.test", "0 0 7211 node1.cairn.test")
	resolved([]string{entry}, []string{"10.0.0.1:7211"}, entry+": lookup "+entry+": DNS response contained records which contain invalid names")
	names.SRV(entry, "0 0 0 .") // there is decidedly none
	resolved([]string{entry}, nil, entry+": lookup .")
	names.SRV(entry)
	resolved([]string{entry}, nil, entry+": lookup "+entry)
	names.Addresses(entry, "10.0.0.1") // no SRV record
	resolved([]string{entry}, nil, entry+": lookup "+entry)
}
