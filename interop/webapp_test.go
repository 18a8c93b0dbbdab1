package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// A counter is a web application that keeps a number in the visitor's session,
// adds one per request and answers with it. Every language has one here.
//
// counterApps starts them: each call gives another process of the same
// application on the same store, whose sessions live for ttl.
type counterApps struct {
	srv   *server
	start func(ttl time.Duration) (url string)

	// forgetful says that the application takes a lost connection to the
	// server for an empty session. Others find out about the loss first then.
	forgetful bool
}

// long is a time to live that no test outlasts, short one that they wait for.
const (
	long  = time.Hour
	short = 2 * time.Second
)

// prove sends one visitor to several processes in turn, kills the server
// between requests, and lets a session expire.
func (a counterApps) prove(t *testing.T) {
	t.Helper()
	apps := []string{a.start(long), a.start(long)}
	visitor := newVisitor(t)
	n := 0
	count := func(rounds int) {
		t.Helper()
		for range rounds {
			url := apps[n%len(apps)]
			n++
			if got := visitor.count(url); got != n {
				t.Fatalf("request %d, to %s, counted %d", n, url, got)
			}
		}
	}
	count(6)
	for range 3 {
		a.srv.restart()
		if a.forgetful {
			reconnect(t, apps)
		}
		count(4)
	}
	if stranger := newVisitor(t); stranger.count(apps[0]) != 1 {
		t.Error("a new visitor found somebody's session")
	}
	a.proveExpiry(t)
	count(2)
}

// reconnect sends strangers to each application until one is recognised.
func reconnect(t *testing.T, apps []string) {
	t.Helper()
	for _, url := range apps {
		deadline := time.Now().Add(patience)
		for stranger := newVisitor(t); stranger.count(url) < 2; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s never finds its sessions again", url)
			}
		}
	}
}

func (a counterApps) proveExpiry(t *testing.T) {
	t.Helper()
	app := a.start(short)
	visitor := newVisitor(t)
	visitor.count(app)
	time.Sleep(short + time.Second) // the client's own clock is what expires
	if got := visitor.count(app); got != 1 {
		t.Errorf("after its expiry the session still counted %d", got)
	}
}

// visitor is a browser with its cookies. Cookies never expire in it, so that
// the session's end is the server's doing.
type visitor struct {
	t      *testing.T
	client *http.Client
}

func newVisitor(t *testing.T) visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return visitor{t, &http.Client{Jar: immortal{jar}, Timeout: patience}}
}

// immortal is a jar in which no cookie expires.
type immortal struct{ *cookiejar.Jar }

func (j immortal) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		c.MaxAge, c.Expires = 0, time.Time{}
	}
	j.Jar.SetCookies(u, cookies)
}

// count makes one request and gives the number in the answer. An answer of 5xx
// is tried again: a client may well report, once, that the server it was
// connected to has died.
func (v visitor) count(url string) int {
	v.t.Helper()
	var failure error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var n int
		if n, failure = v.try(url); failure == nil {
			return n
		}
	}
	v.t.Fatalf("%s: %v", url, failure)
	return 0
}

func (v visitor) try(url string) (int, error) {
	reply, err := v.client.Get(url)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	if reply.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %.500s", reply.Status, body)
	}
	return strconv.Atoi(string(body))
}
