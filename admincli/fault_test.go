package admincli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestExitCodes holds every kind of failure to its code, as docs/http-api.md has
// them.
func TestExitCodes(t *testing.T) {
	r := newRig(t)
	r.put("k", "value", 600)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"show k", 0, ""},
		{"show absent", codeNotFound, ""},
		{"rm absent", codeNotFound, "1 of 1 sessions could not be deleted"},
		{"rm absent also-absent", codeNotFound, ""},
		{"show", codeUsage, "usage: cairn show KEY"},
		{"log-level loud", codeUsage, "usage: cairn log-level [debug|info|warn|error]"},
		{"touch k --ttl 0s", codeUsage, "--ttl must be longer than nothing"},
		{"show --base64 !", codeUsage, "not base64"},
		{"flush", codeUsage, "say --yes"},
		{"ls --url 127.0.0.1:1", codeUnreachable, "cannot reach Cairn at http://127.0.0.1:1: connect: connection refused; does it run"},
		{"check --data-dir /nowhere", codeFailed, ""},
	} {
		_, _, err := r.run(strings.Fields(c.args)...)
		if err == nil && c.code != 0 || err != nil && codeOf(err) != c.code {
			t.Errorf("cairn %s: %v, want exit code %d", c.args, err, c.code)
		}
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("cairn %s: %q, want %q", c.args, err, c.says)
		}
	}
	for token, says := range map[string]string{"": "the server wants a token", "wrong-token-12345": "does not know this token"} {
		r.env[tokenVariable] = token
		if _, _, err := r.run("ls"); err == nil || codeOf(err) != codeRefused || !strings.Contains(err.Error(), says) {
			t.Errorf("with token %q: %v", token, err)
		}
	}
	r.env[tokenVariable] = "read-token-123456"
	if _, _, err := r.run("rm", "k"); err == nil || codeOf(err) != codeRefused {
		t.Errorf("without the right: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	a := new(app)
	if err := a.explain(errors.Join(errors.New("read"), context.Canceled)); err.Error() != "cancelled" || codeOf(err) != codeCancelled {
		t.Errorf("%v, exit code %d", err, codeOf(err))
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 168 * time.Hour, "1w": 168 * time.Hour, "1w2d12h30m": 228*time.Hour + 30*time.Minute, "90m": 90 * time.Minute, "0s": 0, "-1s": -time.Second,
		"106751d": 106751 * 24 * time.Hour,
	} {
		var d duration
		if err := d.Set(text); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "d", "7", "7x", "1d-1h", "1d+1h", "106752d", "99999w99999w", "1.5d", "106751d48h"} {
		var d duration
		if err := d.Set(text); err == nil {
			t.Errorf("%q is taken as %v", text, time.Duration(d))
		}
	}
}

func TestPingGetSet(t *testing.T) {
	r := newRig(t)
	if out := r.must("ping"); !strings.Contains(out, "1.2.3 is ready") || !strings.Contains(out, "you are ops (admin)") {
		t.Errorf("ping: %s", out)
	}
	r.stdin = "a value\x00\xff"
	if out := r.must("set", "k", "--ttl", "2d", "--flags", "5"); !strings.Contains(out, "stored k, 9 B, expires in 1d") && !strings.Contains(out, "stored k, 9 B, expires in 2d 0h") &&
		!strings.Contains(out, "stored k, 9 B, expires in 47h") {
		t.Errorf("set: %s", out)
	}
	if out := r.must("get", "k"); out != r.stdin {
		t.Errorf("get: %q", out)
	}
	if out := r.must("show", "k", "--no-value"); !strings.Contains(out, "Flags") || !strings.Contains(out, "5") {
		t.Errorf("show: %s", out)
	}
}

// TestHelpIsComplete looks for commands without a heading or an example.
func TestHelpIsComplete(t *testing.T) {
	for _, cmd := range Commands(Environment{}) {
		if cmd.Name() != "man" && cmd.GroupID == "" {
			t.Errorf("%s has no group", cmd.Name())
		}
		if cmd.Example == "" || !strings.Contains(cmd.Example, "cairn "+cmd.Name()) {
			t.Errorf("%s has no example", cmd.Name())
		}
		for _, below := range cmd.Commands() {
			if !strings.Contains(below.Example, "cairn "+cmd.Name()+" "+below.Name()) {
				t.Errorf("%s %s has no example", cmd.Name(), below.Name())
			}
		}
	}
}

// Where there is no answer there is no table.
func TestNoTableBeforeAFault(t *testing.T) {
	r := newRig(t)
	r.env[tokenVariable] = "not-the-token-1234"
	for _, args := range []string{"ls", "ls -o json", "stats", "forecast", "connections", "show a", "upstream status", "context ls -o table --bad"} {
		if out, _, err := r.run(strings.Fields(args)...); err == nil || out != "" {
			t.Errorf("%s: %v, after %q", args, err, out)
		}
	}
}
