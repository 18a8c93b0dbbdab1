package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"

	"cairn/auth"
)

// Scope is what a caller may do; each includes the ones before it.
type Scope uint8

// The scopes, from least to most.
const (
	ScopeNone    Scope = iota
	ScopeMetrics       // figures, but no session and no key
	ScopeRead          // sessions without their values
	ScopeAdmin         // everything
)

var scopeNames = [...]string{"none", "metrics", "read", "admin"}

func (s Scope) String() string { return scopeNames[s] }

const securityScheme = "token"

// AuthOptions say who may use the API. Without tokens and client certificates
// everyone who reaches the listener is an administrator, and the server serves
// on loopback addresses and unix sockets only.
type AuthOptions struct {
	// TokenFile has one token per line, see parseTokens. "" : none.
	TokenFile string

	// Tokens are more of them, as in an environment variable: the lines of
	// such a file, separated by newlines or commas.
	Tokens string
}

// caller is who sent a request.
type caller struct {
	name  string // of the token or certificate; never a secret
	scope Scope
}

// authenticator recognises callers.
type authenticator struct {
	options AuthOptions
	logger  *slog.Logger
	guesses *auth.Throttle
	tokens  atomic.Pointer[tokenSet]
	log     rate.Sometimes // so that guessing cannot flood the log
}

func newAuthenticator(o AuthOptions, l Limits, logger *slog.Logger) (*authenticator, error) {
	a := &authenticator{options: o, logger: logger, guesses: auth.NewThrottle(maxLimiters, tokenGuesses, tokenGuessInterval),
		log: rate.Sometimes{First: 10, Interval: time.Second}}
	return a, a.reload()
}

// CheckTokens reports what is wrong with the tokens that o names.
func CheckTokens(o AuthOptions) error {
	_, err := newAuthenticator(o, Limits{}, slog.New(slog.DiscardHandler))
	return err
}

// reload reads the tokens again, keeping the old ones if that fails.
func (a *authenticator) reload() error {
	text := strings.ReplaceAll(a.options.Tokens, ",", "\n")
	set, err := parseTokens(text)
	if err != nil {
		return fmt.Errorf("httpapi: tokens from the environment: %w", err)
	}
	if a.options.TokenFile != "" {
		data, err := os.ReadFile(a.options.TokenFile)
		if err != nil {
			return fmt.Errorf("httpapi: token file: %w", err)
		}
		fromFile, err := parseTokens(string(data))
		if err != nil {
			return fmt.Errorf("httpapi: token file %s: %w", a.options.TokenFile, err)
		}
		a.warnReadable()
		set = append(set, fromFile...)
		if len(set) == 0 {
			return fmt.Errorf("httpapi: token file %s has no token", a.options.TokenFile)
		}
	}
	a.tokens.Store(&set)
	return nil
}

// warnReadable logs when others on the machine can read the tokens.
func (a *authenticator) warnReadable() {
	if info, err := os.Stat(a.options.TokenFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		a.logger.Warn("token file is accessible to every user of this machine", "file", a.options.TokenFile)
	}
}

func (a *authenticator) hasTokens() bool { return len(*a.tokens.Load()) > 0 }

// bearer returns the token that a request carries: as a bearer token (RFC 6750),
// or as the password of Basic authentication for simple clients.
func bearer(r *http.Request) (token string, given bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", scheme != ""
	}
	return strings.TrimSpace(token), true
}

// find returns the caller who holds the token. Its time does not depend on how
// much of a secret was right.
func (set tokenSet) find(token string) (caller, bool) {
	sum := sha256.Sum256([]byte(token))
	var found caller
	ok := false
	for i := range set {
		if set[i].certificate == "" && subtle.ConstantTimeCompare(set[i].sum[:], sum[:]) == 1 {
			found, ok = set[i].caller, true
		}
	}
	return found, ok
}

// findCertificate returns the caller whose verified certificate has the common
// name; one that no line names is an administrator.
func (set tokenSet) findCertificate(commonName string) caller {
	for i := range set {
		if set[i].certificate == commonName {
			return set[i].caller
		}
	}
	return caller{name: "certificate " + commonName, scope: ScopeAdmin}
}

// identify finds out who sent r. Where tokens are wrong too often, a right one
// waits for its turn like the others of its origin: what is accepted at once can
// be guessed at once. If that takes too long, identify answers the request itself
// and reports false.
func (s *Server) identify(w http.ResponseWriter, r *http.Request) (caller, bool) {
	set := *s.auth.tokens.Load()
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return set.findCertificate(r.TLS.VerifiedChains[0][0].Subject.CommonName), true
	}
	if c, ok := s.ticketHolder(r); ok {
		return c, true
	}
	if len(set) == 0 && !s.options.ClientCertificates {
		return caller{name: "local", scope: ScopeAdmin}, true
	}
	token, given := bearer(r)
	if !given {
		return caller{}, true
	}
	pace, ok := s.auth.guesses.Enter(r.Context(), originOf(r))
	if !ok {
		tooMany(w, "too many wrong tokens from this address")
		return caller{}, false
	}
	if c, ok := set.find(token); ok {
		pace.Return()
		return c, true
	}
	s.auth.log.Do(func() {
		s.logger.Warn("authentication failed", "address", r.RemoteAddr, "path", r.URL.Path)
	})
	return caller{}, true
}

// authorize is the middleware of API operations: it lets a request through if
// its caller has the scope that the operation's description asks for.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	needed := ScopeNone
	for _, requirement := range ctx.Operation().Security {
		for _, name := range requirement[securityScheme] {
			needed = scopeNamed(name)
		}
	}
	record := recordOf(ctx.Context())
	record.action = ctx.Operation().OperationID
	err := require(ctx.Context(), needed)
	if err == nil {
		next(ctx)
		return
	}
	status := err.(huma.StatusError).GetStatus()
	if status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", challenge)
	}
	_ = huma.WriteErr(s.api, ctx, status, err.Error())
}

const challenge = `Bearer realm="cairn"`

// require gives a problem unless the caller has the scope.
func require(ctx context.Context, needed Scope) error {
	has := recordOf(ctx).caller.scope
	switch {
	case has >= needed:
		return nil
	case has == ScopeNone:
		return huma.Error401Unauthorized("this needs a token of scope " + needed.String())
	}
	return huma.Error403Forbidden("this needs the scope " + needed.String() + "; the token has " + has.String())
}

// requireScope does the same for handlers outside the described API, which it
// gives a name in logs and metrics.
func requireScope(needed Scope, action string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recordOf(r.Context()).action = action
		err := require(r.Context(), needed)
		if err == nil {
			h.ServeHTTP(w, r)
			return
		}
		status := err.(huma.StatusError).GetStatus()
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		writeProblem(w, status, err.Error())
	})
}
