package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// address is where a source listens and who Cairn is there.
type address struct {
	network string // "tcp" or "unix"
	host    string // host:port, or the path of a Unix socket
	name    string // of the host, for TLS
	secure  bool

	user, password string
	hasPassword    bool

	path  string // behind host:port, without slashes at the ends
	query url.Values
}

// String returns the address without the password.
func (a *address) String() string { return a.host }

// scheme says how addresses of a kind of source are written: plain://,
// secure:// (TLS), or unix:// and a path. Without a scheme, what begins with a
// slash is a path and everything else host:port.
type scheme struct {
	plain, secure string
	port          string   // if none is named
	parameters    []string // known ones behind the question mark
}

// parse reads an address. User, password and path are percent-encoded in it. Its
// errors never show a password.
func (s *scheme) parse(target string) (*address, error) {
	switch {
	case strings.HasPrefix(target, "/"):
		target = "unix://" + target
	case !strings.Contains(target, "://"):
		target = s.plain + "://" + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the address is not a valid URL; in user, password and path write %XX for special characters")
	}
	a := &address{network: "tcp", query: u.Query(), user: u.User.Username()}
	a.password, a.hasPassword = u.User.Password()
	switch u.Scheme {
	case "unix":
		a.network, a.host = "unix", u.Path
		if u.Host != "" || u.Path == "" {
			return nil, errors.New("the address of a Unix socket is unix:// and an absolute path")
		}
	case s.plain, s.secure:
		a.secure = u.Scheme == s.secure
		a.name, a.path = u.Hostname(), strings.Trim(u.Path, "/")
		if a.name == "" {
			return nil, errors.New("the address names no host")
		}
		port := u.Port()
		if port == "" {
			port = s.port
		}
		a.host = net.JoinHostPort(a.name, port)
	default:
		return nil, fmt.Errorf("%s:// is not an address for this source; use %s://, %s:// (TLS) or unix://", u.Scheme, s.plain, s.secure)
	}
	for name := range a.query {
		if !slices.Contains(s.parameters, name) {
			return nil, fmt.Errorf("the address has an unknown parameter %q", name)
		}
	}
	return a, nil
}

// dial connects to the source.
func (a *address) dial(ctx context.Context, config *tls.Config) (*conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	if !a.secure {
		nc, err := dialer.DialContext(ctx, a.network, a.host)
		if err != nil {
			return nil, err
		}
		return newConn(nc), nil
	}
	if config == nil {
		config = new(tls.Config)
	}
	config = config.Clone()
	config.ServerName = a.name
	secure := tls.Dialer{NetDialer: &dialer, Config: config}
	nc, err := secure.DialContext(ctx, a.network, a.host)
	if err != nil {
		return nil, err
	}
	return newConn(nc), nil
}
