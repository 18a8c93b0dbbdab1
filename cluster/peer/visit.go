package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"
)

// Visitor is a connection to one node by somebody who only asks, as a proxy does. It is
// not for use by several goroutines at once.
type Visitor struct {
	To    Hello               // who is there
	Shown []*x509.Certificate // what the node has proved itself with; nil: plaintext

	conn     net.Conn
	reader   *bufio.Reader
	maxFrame int
	last     uint64
}

// Visit opens a connection to the node at an address. Self is the visitor; its Version
// and Proxy are filled in. security is nil for plaintext, and answers have maxFrame
// bytes at most.
func Visit(ctx context.Context, address string, self Hello, security *Security, maxFrame int) (*Visitor, error) {
	self.Version, self.Proxy = Version, true
	dialer := net.Dialer{Timeout: dialTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	v := &Visitor{conn: raw, maxFrame: maxFrame}
	if security != nil {
		c := tls.Client(raw, security.client())
		v.conn = c
		if err = c.SetDeadline(time.Now().Add(helloTimeout)); err == nil {
			err = c.HandshakeContext(ctx)
		}
		if err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		v.Shown = c.ConnectionState().PeerCertificates
	}
	v.reader = bufio.NewReader(v.conn)
	if v.To, err = greet(v.conn, v.reader, self); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return v, nil
}

// Call asks the node, and waits for the answer until the deadline. An error ends the
// visit.
func (v *Visitor) Call(body []byte, deadline time.Time) (answer []byte, err error) {
	if err := v.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	v.last++
	if _, err := v.conn.Write(appendNumbered(nil, frameCall, v.last, body)); err != nil {
		return nil, err
	}
	for {
		kind, body, err := readFrame(v.reader, v.maxFrame)
		if err != nil {
			return nil, err
		}
		if kind != frameReply {
			continue // what the node says of itself
		}
		number, rest, err := splitNumbered(body)
		if err != nil || number == v.last {
			return rest, err
		}
	}
}

// Close ends the visit.
func (v *Visitor) Close() error { return v.conn.Close() }
