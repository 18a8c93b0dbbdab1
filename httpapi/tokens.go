package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// minTokenLen is the shortest secret accepted, in bytes: shorter ones can be
// guessed.
const minTokenLen = 16

// credential is one line of a token file.
type credential struct {
	caller      caller
	sum         [sha256.Size]byte // of the secret
	certificate string            // or the common name of a client certificate
}

type tokenSet []credential

// parseTokens reads lines of the form
//
//	name scope secret
//
// where scope is metrics, read or admin and secret is the token itself, or
// sha256:<hex of its SHA-256>, or cert:<common name of a client certificate>.
// Empty lines and lines that begin with # are ignored. Errors name the line
// but no secret.
func parseTokens(text string) (tokenSet, error) {
	var set tokenSet
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := parseCredential(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		set = append(set, c)
	}
	return set, nil
}

func parseCredential(line string) (credential, error) {
	name, rest, _ := strings.Cut(line, " ")
	scopeName, secret, _ := strings.Cut(strings.TrimSpace(rest), " ")
	secret = strings.TrimSpace(secret)
	c := credential{caller: caller{name: name, scope: scopeNamed(scopeName)}}
	if c.caller.scope == ScopeNone {
		return c, errors.New("the second word must be metrics, read or admin")
	}
	if hexSum, ok := strings.CutPrefix(secret, "sha256:"); ok {
		return c, c.setSum(hexSum)
	}
	if cn, ok := strings.CutPrefix(secret, "cert:"); ok && cn != "" {
		c.certificate = cn
		return c, nil
	}
	if len(secret) < minTokenLen {
		return c, fmt.Errorf("the secret is shorter than %d bytes", minTokenLen)
	}
	c.sum = sha256.Sum256([]byte(secret))
	return c, nil
}

func (c *credential) setSum(hexSum string) error {
	sum, err := hex.DecodeString(hexSum)
	if err != nil || len(sum) != sha256.Size {
		return errors.New("sha256: must be followed by 64 hexadecimal digits")
	}
	copy(c.sum[:], sum)
	return nil
}

// scopeNamed returns ScopeNone for an unknown name.
func scopeNamed(name string) Scope {
	for i, n := range scopeNames {
		if n == name {
			return Scope(i)
		}
	}
	return ScopeNone
}
