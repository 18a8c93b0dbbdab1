package admincli

import (
	"fmt"
	"strings"
	"testing"

	"cairn/adminapi"
)

func TestAnalyze(t *testing.T) {
	r := newRig(t)
	for i := range 300 {
		r.put(fmt.Sprintf("sess:%03d", i), `{"cart":{"items":"`+strings.Repeat("x", 500)+`"},"user":"alice","\u001b[31m":1}`, 3600)
	}
	out := r.must("analyze")
	for _, want := range []string{"300 sessions were looked at\n", "(no rule)", "keys        300\n", "json 100.0%", "cart.items  91.3%", `\x1b[31m`} {
		if !strings.Contains(out, want) {
			t.Errorf("printed %q, without %q", out, want)
		}
	}
	found := decodeJSON[adminapi.Analysis](t, r.must("analyze", "--prefix", "sess:00", "-o", "json"))
	if !found.Complete || found.Sampled != 10 || found.Rules[0].Sessions != 10 {
		t.Errorf("%+v", found)
	}
	if out := r.must("analyze", "--prefix", "nothing"); out != "0 sessions were looked at\n" {
		t.Errorf("nothing is %q", out)
	}
	r.refuse("from 1 to 100000", "analyze", "--sample", "0")
	r.refuse("no such rule", "analyze", "--rule", "php")
	r.env[tokenVariable] = "read-token-123456"
	r.refuse("", "analyze")
	r.refuse("no filter", "ls", "--locks", "--prefix", "a")
	if out := r.must("ls", "--locks"); strings.Count(out, "\n") != 1 {
		t.Errorf("no locks are %q", out)
	}
}
