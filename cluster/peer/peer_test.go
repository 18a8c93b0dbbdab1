package peer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/freeport"
)

// ear is a Handler that tells the test.
type ear struct {
	messages chan []*raftpb.Message
	heard    chan Hello
	gone     chan uint64
	serve    func(from uint64, body []byte, reply func([]byte))
}

func newEar() *ear {
	return &ear{
		messages: make(chan []*raftpb.Message, 100), heard: make(chan Hello, 1000), gone: make(chan uint64, 100),
		serve: func(from uint64, body []byte, reply func([]byte)) { reply(fmt.Appendf(nil, "%d said %s", from, body)) },
	}
}

func (e *ear) Messages(_, _ uint64, messages []*raftpb.Message) { e.messages <- messages }
func (e *ear) Serve(from uint64, body []byte, reply func(body []byte)) {
	e.serve(from, body, reply)
}
func (e *ear) ServeProxy(body []byte, reply func(body []byte)) {
	e.serve(0, body, reply)
}
func (e *ear) Heard(from Hello, _ []byte) {
	select {
	case e.heard <- from:
	default:
	}
}
func (e *ear) Gone(node uint64) { e.gone <- node }

// Stream sends back what comes, with the purpose before it.
func (e *ear) Stream(from Hello, rw io.ReadWriter) {
	line, err := bufio.NewReader(rw).ReadString('\n')
	if err == nil {
		fmt.Fprintf(rw, "%s from %d: %s", from.Stream, from.Node, line)
	}
}

// node begins to listen on loopback and is closed when the test ends.
func node(t *testing.T, id uint64, cluster string, s *Security) (*Peers, *ear, string) {
	t.Helper()
	return nodeAt(t, id, cluster, s, "127.0.0.1:0")
}

func nodeAt(t *testing.T, id uint64, cluster string, s *Security, address string) (*Peers, *ear, string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := newEar()
	p := New(Options{
		Self: Hello{Cluster: cluster, Node: id, Address: l.Addr().String()}, Listener: l, Handler: e, Security: s,
		State: func() []byte { return []byte("{}") }, Logger: slog.New(slog.DiscardHandler), MaxFrame: 4 << 20,
	})
	t.Cleanup(func() { _ = p.Close() })
	return p, e, l.Addr().String()
}

const patience = 3 * time.Minute // nothing waits for it unless a test fails

func receive[T any](t *testing.T, from chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

type answer struct {
	body string
	err  error
}

func ask(p *Peers, to uint64, body string, wait time.Duration) chan answer {
	got := make(chan answer, 2)
	p.Call(to, []byte(body), time.Now().Add(wait), func(reply []byte, err error) { got <- answer{string(reply), err} })
	return got
}

// connected waits until p has a connection to a node.
func connected(t *testing.T, p *Peers, to uint64) {
	t.Helper()
	for begun := time.Now(); p.link(to) == nil; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("no connection to %d", to)
		}
	}
}

// A node that comes back, and dials, is dialed at once, however long the pause before
// that was to be: without it there would be nobody to vote with if another one died now.
func TestDialedBack(t *testing.T) {
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan string, 10)
	a, _, own := node(t, 1, "c", nil)
	a.o.Logger = slog.New(&notes{said: refused})
	a.firstBackoff = time.Hour
	a.Dial([]string{address})
	receive(t, refused, "refusal")
	b, _, _ := nodeAt(t, 2, "c", nil, address)
	b.Dial([]string{own})
	connected(t, a, 2)
}

// A node of another cluster comes again and again, five times a second when it has found
// three nodes: the log tells why it is refused, and not each time.
func TestRefusedIsBounded(t *testing.T) {
	a, _, _ := node(t, 1, "c", nil)
	said := make(chan string, 100)
	a.o.Logger = slog.New(&notes{said: said})
	c, other := net.Pipe()
	defer c.Close()
	defer other.Close()
	for range 100 {
		a.refuse(c, ErrSelf)
	}
	if n := len(said); n < 1 || n > 20 {
		t.Errorf("%d of 100 are in the log", n)
	}
	for want, hello := range map[string]Hello{"a proxy belongs": {Proxy: true}, "the node at x:1 belongs": {Address: "x:1"}, "the other side belongs": {}} {
		hello.Version, hello.Cluster = Version, "another"
		if err := a.o.Self.accepts(hello); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", hello, err)
		}
	}
}

// notes is a slog.Handler that hands on what is said.
type notes struct {
	slog.Handler
	said chan string
}

func (n *notes) Enabled(context.Context, slog.Level) bool { return true }
func (n *notes) Handle(_ context.Context, r slog.Record) error {
	n.said <- r.Message
	return nil
}

func TestTwoNodes(t *testing.T) {
	for name, security := range map[string]*Security{"plain": nil, "TLS": newAuthority(t).security(t)} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := node(t, 1, "c", security)
			_, heard, address := node(t, 2, "c", security)
			a.Dial([]string{address})
			if from := receive(t, heard.heard, "state"); from.Node != 1 {
				t.Errorf("heard of %+v", from)
			}
			connected(t, a, 2)
			if got := receive(t, ask(a, 2, "hello", patience), "answer"); got.err != nil || got.body != "1 said hello" {
				t.Errorf("answer %+v", got)
			}
			big := bytes.Repeat([]byte("x"), 3<<20)
			sent := []*raftpb.Message{
				{Type: raftpb.MsgApp.Enum(), To: new(uint64(2)), Entries: []*raftpb.Entry{{Index: new(uint64(7)), Data: big}}},
				{Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2))},
			}
			if !a.Send(2, 5, sent) {
				t.Fatal("not sent")
			}
			got := receive(t, heard.messages, "messages")
			if len(got) != 2 || !proto.Equal(got[0], sent[0]) || !proto.Equal(got[1], sent[1]) {
				t.Errorf("other messages arrived than were sent")
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	a, _, _ := node(t, 1, "c", nil)
	if got := receive(t, ask(a, 2, "hello", patience), "answer"); got.err != ErrUnreachable {
		t.Errorf("%v, want %v", got.err, ErrUnreachable)
	}
	if a.Send(2, 1, []*raftpb.Message{{Type: raftpb.MsgHeartbeat.Enum()}}) {
		t.Error("sent to nobody")
	}
}

// TestGone lets a node stop while a call is under way.
func TestGone(t *testing.T) {
	a, told, _ := node(t, 1, "c", nil)
	b, slow, address := node(t, 2, "c", nil)
	arrived := make(chan bool, 1)
	slow.serve = func(uint64, []byte, func([]byte)) { arrived <- true }
	a.Dial([]string{address})
	connected(t, a, 2)
	got := ask(a, 2, "hello", time.Hour)
	receive(t, arrived, "call")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if got := receive(t, got, "answer"); got.err != ErrBroken {
		t.Errorf("%v, want %v", got.err, ErrBroken)
	}
	if id := receive(t, told.gone, "word that the node is gone"); id != 2 {
		t.Errorf("node %d is gone", id)
	}
}

// TestStream opens a connection for a purpose of its own, beside the other one.
func TestStream(t *testing.T) {
	a, _, _ := node(t, 1, "c", nil)
	_, _, address := node(t, 2, "c", nil)
	a.Dial([]string{address})
	connected(t, a, 2)
	err := a.Stream(t.Context(), address, "echo", func(to Hello, rw io.ReadWriter) error {
		if to.Node != 2 {
			t.Errorf("node %d", to.Node)
		}
		fmt.Fprintln(rw, "hello")
		got, err := io.ReadAll(rw)
		if string(got) != "echo from 1: hello\n" {
			t.Errorf("%q", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = a.Stream(ctx, address, "echo", func(_ Hello, rw io.ReadWriter) error {
		cancel()
		_, err := io.ReadAll(rw)
		return err
	})
	if err == nil {
		t.Error("a stream goes on though its context is done")
	}
}

// TestTimeout gets no answer.
func TestTimeout(t *testing.T) {
	a, _, _ := node(t, 1, "c", nil)
	_, mute, address := node(t, 2, "c", nil)
	mute.serve = func(uint64, []byte, func([]byte)) {}
	a.Dial([]string{address})
	connected(t, a, 2)
	if got := receive(t, ask(a, 2, "hello", time.Millisecond), "answer"); got.err != ErrTimeout {
		t.Errorf("%v, want %v", got.err, ErrTimeout)
	}
}

// TestRefused dials nodes that do not belong to this one.
func TestRefused(t *testing.T) {
	a, heard, own := node(t, 1, "c", nil)
	_, _, other := node(t, 2, "another", nil)
	_, _, friend := node(t, 3, "c", nil)
	for address, want := range map[string]bool{own: false, other: false, friend: true} {
		c, err := a.dial(t.Context(), address)
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
		if address == own && !errors.Is(err, ErrSelf) {
			t.Errorf("to itself: %v", err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
	select {
	case from := <-heard.heard:
		t.Errorf("heard of %+v", from)
	default:
	}
}

// TestProxy lets a proxy call a node. It can do nothing else, and whose certificate is a
// proxy's can be no node.
func TestProxy(t *testing.T) {
	ours := newAuthority(t)
	n, heard, address := node(t, 2, "c", ours.security(t))
	heard.serve = func(from uint64, body []byte, reply func([]byte)) {
		if string(body) != "never" {
			reply(fmt.Appendf(nil, "%d said %s", from, body))
		}
	}
	dial := func(self Hello, unit ...string) *Peers {
		p := New(Options{
			Self: self, Security: ours.security(t, unit...), Handler: newEar(),
			State: func() []byte { return []byte("{}") }, Logger: slog.New(slog.DiscardHandler),
		})
		t.Cleanup(func() { _ = p.Close() })
		p.Dial([]string{address})
		return p
	}
	proxy := dial(Hello{Cluster: "c", Node: 9, Proxy: true}, OnlyProxy)
	connected(t, proxy, 2)
	if got := receive(t, ask(proxy, 2, "hello", patience), "answer"); got.err != nil || got.body != "0 said hello" {
		t.Errorf("%q, %v", got.body, got.err)
	}
	if n.Proxies() != 1 {
		t.Errorf("%d proxies", n.Proxies())
	}
	broken := ask(proxy, 2, "never", time.Hour)
	proxy.Send(2, 0, []*raftpb.Message{{}})
	if got := receive(t, broken, "end of the connection"); got.err != ErrBroken {
		t.Errorf("a message of raft's from a proxy: %v", got.err)
	}
	impostor := New(Options{Self: Hello{Cluster: "c", Node: 8}, Security: ours.security(t, OnlyProxy), Handler: newEar(), State: func() []byte { return []byte("{}") }, Logger: slog.New(slog.DiscardHandler)})
	defer impostor.Close()
	if c, err := impostor.dial(t.Context(), address); err == nil {
		if _, _, err := readFrame(c.reader, 1<<20); err == nil {
			t.Error("the node takes a proxy for a node")
		}
	}
	if len(heard.messages) > 0 || len(heard.heard) > 0 {
		t.Error("a proxy was heard as a node")
	}
	// Nor does anybody talk to a proxy that listens.
	_, _, trap := node(t, 7, "c", ours.security(t, OnlyProxy))
	if _, err := n.dial(t.Context(), trap); err == nil {
		t.Error("a node talks to a proxy")
	}
}

// TestStrangersAreRefused uses certificates of another authority, and none.
func TestStrangersAreRefused(t *testing.T) {
	ours := newAuthority(t)
	_, heard, address := node(t, 2, "c", ours.security(t))
	for name, security := range map[string]*Security{"plain": nil, "another authority": newAuthority(t).security(t)} {
		a, _, _ := node(t, 1, "c", security)
		if c, err := a.dial(t.Context(), address); err == nil {
			t.Errorf("%s: a connection to node %d", name, c.to.Node)
		}
	}
	// One that believes whatever it is shown, and shows what nobody has issued.
	a, _, _ := node(t, 1, "c", newAuthority(t).security(t))
	both := a.o.Security.current.Load()
	both.authorities.AddCert(ours.certificate)
	if c, err := a.dial(t.Context(), address); err == nil {
		if _, _, err := readFrame(c.reader, 1<<20); err == nil {
			t.Error("the node talks to whom its authority does not know")
		}
	}
	if len(heard.heard) > 0 {
		t.Error("a stranger was heard")
	}
}

// FuzzFrames feeds a reader with anything.
func FuzzFrames(f *testing.F) {
	frame, _ := appendRaft(nil, 3, []*raftpb.Message{{Type: raftpb.MsgApp.Enum(), Entries: []*raftpb.Entry{{Data: []byte("x")}}}})
	f.Add(frame)
	f.Add(appendNumbered(nil, frameCall, 300, []byte("body")))
	f.Add([]byte{frameRaft, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		for {
			kind, body, err := readFrame(r, 1<<16)
			if err != nil {
				return
			}
			switch kind {
			case frameRaft:
				if group, messages, err := decodeRaft(body); err == nil {
					if _, err := appendRaft(nil, group, messages); err != nil {
						t.Error(err)
					}
				}
			case frameCall:
				_, _, _ = splitNumbered(body)
			}
		}
	})
}

// authority issues certificates.
type authority struct {
	dir         string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// security has a certificate of a node, or of what the unit says.
func (a *authority) security(t *testing.T, unit ...string) *Security {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node", OrganizationalUnit: unit},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadSecurity(a.write(t, "node.pem", "CERTIFICATE", der), a.write(t, "key.pem", "PRIVATE KEY", keyDER), filepath.Join(a.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
