package peer

import (
	"strings"
	"testing"
	"time"
)

// TestVisit asks a node as a visitor, among what the node says of itself.
func TestVisit(t *testing.T) {
	ours := newAuthority(t)
	for name, security := range map[string]*Security{"plain": nil, "TLS": ours.security(t)} {
		t.Run(name, func(t *testing.T) {
			n, _, address := node(t, 2, "c", security)
			v, err := Visit(t.Context(), address, Hello{Cluster: "c", Node: 9}, security, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if v.To.Node != 2 || (len(v.Shown) == 0) != (security == nil) || n.Proxies() > 1 {
				t.Errorf("%+v, %d certificates, %d proxies", v.To, len(v.Shown), n.Proxies())
			}
			for _, question := range []string{"first", "second"} {
				answer, err := v.Call([]byte(question), time.Now().Add(patience))
				if err != nil || string(answer) != "0 said "+question {
					t.Errorf("%q, %v", answer, err)
				}
			}
			if _, err := Visit(t.Context(), address, Hello{Cluster: "d", Node: 9}, security, 1<<20); err == nil || !strings.Contains(err.Error(), `"c"`) {
				t.Errorf("a visitor of another cluster: %v", err)
			}
		})
	}
	_, _, address := node(t, 2, "c", ours.security(t))
	for name, security := range map[string]*Security{"plain": nil, "another authority": newAuthority(t).security(t)} {
		if v, err := Visit(t.Context(), address, Hello{Cluster: "c", Node: 9}, security, 1<<20); err == nil {
			t.Errorf("%s: the visitor got in", name)
			_ = v.Close()
		}
	}
}

// TestVisitUnanswered ends at the deadline.
func TestVisitUnanswered(t *testing.T) {
	_, ear, address := node(t, 2, "c", nil)
	ear.serve = func(uint64, []byte, func([]byte)) {}
	v, err := Visit(t.Context(), address, Hello{Cluster: "c", Node: 9}, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if answer, err := v.Call([]byte("x"), time.Now().Add(50*time.Millisecond)); err == nil {
		t.Errorf("an answer: %q", answer)
	}
}

// TestOwnCertificate finds out beforehand what others would refuse.
func TestOwnCertificate(t *testing.T) {
	ours := newAuthority(t)
	good := ours.security(t)
	if err := good.Check(false); err != nil {
		t.Error(err)
	}
	proxys := ours.security(t, OnlyProxy)
	if err := proxys.Check(true); err != nil {
		t.Error(err)
	}
	if err := proxys.Check(false); err == nil {
		t.Error("a proxy's certificate is taken for a node's")
	}
	strange := newAuthority(t).security(t)
	strange.authority = good.authority
	if err := strange.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := strange.Check(true); err == nil {
		t.Error("a certificate of another authority is accepted")
	}
}
