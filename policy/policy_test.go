package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cairn/session"
)

const (
	hex32    = "0123456789ABCDEF0123456789ABCDEF"
	url32    = "abcDEF012_-xyzabcDEF012_-xyz0123"
	alnum40  = "abcdefghijABCDEFGHIJ0123456789abcdefghij"
	everyone = "php,symfony,laravel,msm,express,rails,django,flask"
)

func load(t testing.TB, names, rules string) *Set {
	t.Helper()
	file := ""
	if rules != "" {
		file = filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var list []string
	if names != "" {
		list = strings.Split(names, ",")
	}
	s, err := Load(list, file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPresets looks up keys as the clients write them.
func TestPresets(t *testing.T) {
	s := load(t, everyone, "")
	for key, want := range map[string]string{
		"memc.sess.key.abc":                   "php session",
		"memc.sess.abc":                       "php session",
		"memc.sess.key.lock.abc":              "php lock",
		"sf_sabc":                             "symfony session",
		"sf2sabc":                             "symfony session",
		"_session_id:2::abc":                  "rails session",
		"shop:_session_id:2::abc":             "rails session",
		"laravel_cache_" + alnum40:            "laravel session",
		"laravel_cache:" + alnum40:            "laravel session",
		"my-app-cache-" + alnum40:             "laravel session",
		"laravel_cache_" + alnum40 + "x":      "",
		"laravel_cache_short":                 "",
		hex32:                                 "msm session",
		hex32 + "-n1":                         "msm session",
		hex32 + "-n1.route":                   "msm session",
		hex32 + ".route":                      "msm session",
		hex32 + "-":                           "",
		hex32 + ".":                           "",
		hex32 + "-n1.route.x":                 "",
		"validity:" + hex32 + "-n1":           "msm companion",
		"bak:" + hex32 + "-n1":                "msm companion",
		"bak:validity:" + hex32 + "-n1":       "msm companion",
		"lock:" + hex32 + "-n1":               "msm lock",
		url32:                                 "express session",
		"sess:" + url32:                       "express session",
		url32 + "x":                           "",
		"rack:session:2::abc":                 "rails session",
		":1:django.contrib.sessions.cacheabc": "django session",
		"session:abc":                         "flask session",
		"other":                               "",
		"":                                    "",
	} {
		rule, kind := s.For([]byte(key))
		got := ""
		if rule != nil {
			got = rule.Name + " " + kind.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
	if rule, kind := load(t, "", "").For([]byte(hex32)); rule != nil || kind != Other {
		t.Error("a set without rules has one")
	}
	if rule, _ := (*Set)(nil).For([]byte(hex32)); rule != nil || !(*Set)(nil).Empty() {
		t.Error("no set has a rule")
	}
}

func TestFile(t *testing.T) {
	s := load(t, "php,express", `
rules:
  - name: php
    prefix: app.
    locks: app.lock.
    absolute: 12h
    max-ttl: 30d
    lock-max-ttl: 30s
  - name: long
    prefix: app.long.
`)
	for key, want := range map[string]string{
		"app.x": "php app.*", "app.lock.x": "php app.lock.*", "app.long.x": "long app.long.*", "memc.sess.key.x": " ", url32: "express <base64url:32>",
	} {
		rule, _, pattern := s.Explain([]byte(key))
		name := ""
		if rule != nil {
			name = rule.Name
		}
		if got := name + " " + pattern; got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
	php, _ := s.For([]byte("app.x"))
	if php.Absolute != 12*time.Hour || php.MaxTTL != 30*24*time.Hour || php.LockTTL != 30*time.Second {
		t.Errorf("%+v", php)
	}
	if long, _ := s.For([]byte("app.long.x")); long.LockTTL != time.Hour {
		t.Errorf("locks may live for %v", long.LockTTL)
	}
}

func TestFaultyFiles(t *testing.T) {
	for says, rules := range map[string]string{
		"name":          "rules: [{prefix: a}]",
		"prefix":        "rules: [{name: a}]",
		"every key":     "rules: [{name: a, prefix: ['', b]}]",
		"match every":   "rules: [{name: a, prefix: '*'}]",
		"twice":         "rules: [{name: a, prefix: b}, {name: a, prefix: c}]",
		"not found":     "rules: [{name: a, prefix: b, absolut: 1h}]",
		"length of":     "rules: [{name: a, prefix: b, absolute: soon}]",
		"line 1":        "rules: [{name: a, prefix: b, max-ttl: 7}]",
		"hex, alnum":    "rules: [{name: a, shape: 'any:3'}]",
		"a number or":   "rules: [{name: a, shape: 'hex:9-3'}]",
		"must be a nu":  "rules: [{name: a, shape: 'hex'}]",
		"empty prefix":  "rules: [{name: a, prefix: x, locks: ''}]",
		"yaml":          "rules: [",
		"connection or": "rules: [{name: a, prefix: b, fence: 'on'}]",
		"stored or not": "rules: [{name: a, prefix: b, fence: peer, fence-answer: no}]",
		"of which the":  "rules: [{name: a, prefix: b, volatile: true}]",
		"are volatile":  "rules: [{name: a, prefix: b, locks: c, park: 1s}]",
		"at most 4s":    "rules: [{name: a, prefix: b, locks: c, volatile: true, park: 5s}]",
		"need a fence":  "rules: [{name: a, prefix: b, fence-for: 10s}]",
		"ends or holds": "rules: [{name: a, prefix: b, fence: peer, fence-miss: yes}]",
		"of a peer":     "rules: [{name: a, prefix: b, fence: connection, fence-miss: ends}]",
		"fence-for and": "rules: [{name: a, prefix: b, fence: 'off', fence-answer: stored}]",
	} {
		_, err := parse([]byte(rules), "")
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", rules, err, says)
		}
	}
	if _, err := Load([]string{"nope"}, ""); err == nil || !strings.Contains(err.Error(), "express") {
		t.Errorf("an unknown preset: %v", err)
	}
	if _, err := Load(nil, "/nowhere"); err == nil {
		t.Error("a file that is not there")
	}
	if s, err := Load(nil, os.DevNull); err != nil || !s.Empty() {
		t.Errorf("an empty file: %v", err)
	}
}

func TestAdmit(t *testing.T) {
	const now = session.Time(1_000_000)
	r := &Rule{MaxTTL: time.Minute, LockTTL: time.Second}
	for _, c := range []struct {
		kind        Kind
		asked, want session.Time
	}{
		{Session, now + 1000, now + 1000}, {Session, now + 60_000, now + 60_000}, {Session, now + 60_001, now + 60_000},
		{Session, session.Never, now + 60_000}, {Session, 0, 0}, {Session, now - 1, now - 1},
		{Lock, session.Never, now + 1000}, {Companion, session.Never, now + 60_000},
	} {
		command := session.Command{Expiry: c.asked, VivifyExpiry: c.asked}
		r.Admit(&command, c.kind, now)
		if command.Expiry != c.want || command.VivifyExpiry != c.want {
			t.Errorf("%v, %d: %d and %d, want %d", c.kind, c.asked, command.Expiry, command.VivifyExpiry, c.want)
		}
	}
	command := session.Command{Expiry: session.Never}
	(&Rule{}).Admit(&command, Session, now)
	if command.Expiry != session.Never {
		t.Error("a rule without bounds bounds")
	}
}

func TestFence(t *testing.T) {
	const now = session.Time(1_000_000)
	s := load(t, "php,msm", `
rules:
  - {name: app, prefix: app., locks: app.lock., companions: app.more., fence: peer, fence-for: 10s, fence-answer: not_stored}
  - {name: end, prefix: end., fence: connection, absolute: 100s}
  - {name: off, prefix: off., fence: off}
`)
	for key, want := range map[string]string{
		"app.x": "peer 10s not_stored", "app.lock.x": "", "app.more.x": "", "off.x": "", "other": "",
		"memc.sess.key.x": "connection 1m0s stored", "memc.sess.key.lock.x": "", hex32: "peer 1m0s stored", "validity:" + hex32: "",
	} {
		got := ""
		if r := s.Fence([]byte(key)); r != nil {
			got = fmt.Sprint(r.Fence, " ", r.FenceFor, " ", r.FenceAnswer())
		}
		if got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
		c := session.Command{Op: session.OpSet, Key: []byte(key)}
		if r, kind := s.For(c.Key); r != nil {
			r.Admit(&c, kind, now)
		}
		if c.Has(session.Tracked) != (want != "") {
			t.Errorf("%s: tracked is %t", key, c.Has(session.Tracked))
		}
	}
	if !s.Fences() || load(t, "", "rules: [{name: a, prefix: b}]").Fences() || (*Set)(nil).Fences() {
		t.Error("whether there is a fence")
	}
	if holds := load(t, "rails,express", "").Fence([]byte("_session_id:2::x")); holds == nil || !holds.FenceHolds || s.Fence([]byte("app.x")).FenceHolds {
		t.Error("whether the fence holds after a miss")
	}
	end := s.Fence([]byte("end.x"))
	for _, c := range []struct{ created, expiry, want session.Time }{
		{0, now + 500_000, now + 60_000}, {0, now + 5000, now + 5000}, {now - 1000, now + 99_000, now + 60_000},
		{now - 98_000, now + 2000, now + 60_000}, {now - 98_000, now + 1000, now + 1000}, {now - 100_000, now, now}, {0, session.Never, now + 60_000},
	} {
		if got := end.FencedUntil(&session.Item{Created: c.created, Expiry: c.expiry}, now); got != c.want {
			t.Errorf("%+v: until %d", c, got)
		}
	}
}

func TestLocks(t *testing.T) {
	s := load(t, "php,msm", `
rules:
  - {name: app, locks: app.lock., volatile: true, park: 1s}
  - {name: kept, prefix: kept., locks: kept.lock.}
`)
	for key, want := range map[string]string{
		"memc.sess.key.lock.x": "2s true", "memc.sess.key.x": "", "lock:" + hex32: "0s false", hex32: "",
		"app.lock.x": "1s false", "kept.lock.x": "", "other": "",
	} {
		got := ""
		if r := s.VolatileLock([]byte(key)); r != nil {
			got = fmt.Sprint(r.Park, " ", r.FreeOnClose)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if !s.Volatile() || load(t, "django", "").Volatile() || (*Set)(nil).Volatile() {
		t.Error("whether there are such locks")
	}
}

// TestMatchersLikeTheirDefinition compares matchers with what they are said to be: a
// key is one of theirs if it is the literal, or ends with it and an id, which has the
// shape.
func TestMatchersLikeTheirDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(alphabet string, most int) string {
		text := make([]byte, r.IntN(most+1))
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(text)
	}
	isShape := func(s *shape, id string) bool {
		if s.class == nil {
			return true
		}
		n := 0
		for n < len(id) && s.class.has[id[n]] {
			n++
		}
		if n < s.least || n > s.most {
			return false
		}
		return n == len(id) || s.tomcat && tomcatSuffixes.MatchString(id[n:])
	}
	matched := 0
	for range 200_000 {
		text := []string{"any", "hex:3", "hex:1-4", "alnum:2", "hex:3[-node][.route]", "base64url:2[-node][.route]", "base64url:2-9223372036854775807"}[r.IntN(7)]
		s, err := parseShape(text)
		if err != nil {
			t.Fatal(err)
		}
		prefix := random("*", 1) + random("a:_", 3)
		m := newMatcher(prefix, s, Session, nil)
		key := random("a:_", 4) + random("a1f-.", 6)
		want := false
		literal, anywhere := strings.CutPrefix(prefix, "*")
		for i := range len(key) + 1 {
			if rest, ok := strings.CutPrefix(key[i:], literal); ok && (i == 0 || anywhere) {
				want = want || isShape(&s, rest)
			}
		}
		got := m.fits([]byte(key)) && m.match([]byte(key))
		if got != want {
			t.Fatalf("%q with the shape %s matches %q: %t, want %t", prefix, text, key, got, want)
		}
		if got {
			matched++
		}
	}
	if matched < 10_000 {
		t.Errorf("%d keys match", matched)
	}
}

var tomcatSuffixes = regexp.MustCompile(`^(-[0-9A-Za-z_-]+)?(\.[0-9A-Za-z_-]+)?$`)

func TestForAllocatesNothing(t *testing.T) {
	s := load(t, everyone, "")
	key := []byte("laravel_cache_" + alnum40)
	if n := testing.AllocsPerRun(100, func() { s.For(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFor(b *testing.B) {
	s := load(b, everyone, "")
	for _, key := range []string{"memc.sess.key.0123456789abcdef", hex32 + "-n1", "sess:" + url32, "laravel_cache_" + alnum40, "something.else"} {
		b.Run(key, func(b *testing.B) {
			k := []byte(key)
			for b.Loop() {
				s.For(k)
			}
		})
	}
}

// FuzzFor looks up any key with all presets, and any file as rules.
func FuzzFor(f *testing.F) {
	f.Add([]byte("memc.sess.key.x"), []byte("rules: [{name: a, prefix: b}]"))
	f.Add([]byte(hex32+"-n1.r"), []byte(Presets))
	f.Add([]byte("zz"), []byte("rules: [{name: a, prefix: '*', shape: 'hex:3'}]"))
	s := load(f, everyone, "")
	f.Fuzz(func(t *testing.T, key, rules []byte) {
		s.For(key)
		if own, err := parse(rules, ""); err == nil {
			newSet(own).Explain(key)
		}
	})
}

// Owners come from the value, hashed where the rule says so; what is no session has
// none, and a faulty setting is refused.
func TestOwners(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "0123456789abcdef0123456789abcdef\n")
	write("short", "0123456789abcde\n")
	write("rules.yaml", `rules:
  - {name: plain, prefix: "p:", locks: "p:lock:", owner: ["json: user.id", "json: uid"], max-per-owner: 3}
  - {name: hashed, prefix: "h:", owner: "json: uid", owner-hash: secret}
  - {name: none, prefix: "n:", max-ttl: 1h}`)
	set, err := Load(nil, filepath.Join(dir, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	admit := func(op session.Op, mods session.Mods, key, value string) *session.Command {
		c := &session.Command{Op: op, Mods: mods, Key: []byte(key), Value: []byte(value), Expiry: 1e12}
		if rule, kind := set.For(c.Key); rule != nil {
			rule.Admit(c, kind, 1e9)
		}
		return c
	}
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		key, value, want string
	}{
		{"p:1", `{"user":{"id":"ann"}}`, "ann"},
		{"p:1", `{"uid":7}`, "7"},
		{"p:1", `{}`, ""},
		{"p:1", `no session`, ""},
		{"p:1", `{"uid":"` + long + `"}`, ""},
		{"p:lock:1", `{"uid":7}`, ""},
		{"h:1", `{"uid":7}`, string(set.OwnerForms([]byte("7"))[1])},
		{"n:1", `{"uid":7}`, ""},
		{"other", `{"uid":7}`, ""},
	} {
		got := admit(session.OpSet, 0, c.key, c.value)
		if strings.Contains(c.value, long) {
			if forms := set.OwnerForms([]byte(long)); string(got.Owner) != string(forms[0]) || len(got.Owner) != 64 {
				t.Errorf("a long id became %q", got.Owner)
			}
			continue
		}
		if string(got.Owner) != c.want || c.want != "" && !got.Has(session.Tracked) {
			t.Errorf("%s %s: owner %q, want %q", c.key, c.value, got.Owner, c.want)
		}
	}
	if c := admit(session.OpAppend, 0, "p:1", `{"uid":7}`); c.Owner != nil || !c.Has(session.Tracked) {
		t.Errorf("append: %+v", c)
	}
	if c := admit(session.OpAppend, session.Vivify, "p:1", `{"uid":7}`); string(c.Owner) != "7" {
		t.Errorf("append that creates: %+v", c)
	}
	forms := set.OwnerForms([]byte("7"))
	if len(forms) != 2 || string(forms[0]) != "7" || len(forms[1]) != 32 {
		t.Errorf("forms %q", forms)
	}
	if !set.Owners() || !set.LimitsOwners() || set.Owner([]byte("n:1")) != nil || set.Owner([]byte("h:1")).Name != "hashed" {
		t.Error("the set does not know its owners")
	}
	before := set.OwnersFingerprint()
	write("secret", "another secret of some length\n")
	if again, err := Load(nil, filepath.Join(dir, "rules.yaml")); err != nil || again.OwnersFingerprint() == before {
		t.Errorf("another secret leaves the fingerprint as it is (error %v)", err)
	}
	if set, err := Load([]string{"php"}, ""); err != nil || set.OwnersFingerprint() != "" || set.Owners() {
		t.Errorf("rules without owners have some (error %v)", err)
	}
	for rule, want := range map[string]string{
		"owner: nonsense":                        "path",
		"owner-hash: secret":                     "need an owner",
		"max-per-owner: 3":                       "need an owner",
		"owner: 'json: a', max-per-owner: -1":    "max-per-owner",
		"owner: 'json: a', max-per-owner: 10001": "max-per-owner",
		"owner: 'json: a', owner-hash: missing":  "missing",
		"owner: 'json: a', owner-hash: short":    "at least 16",
	} {
		write("bad.yaml", `rules: [{name: a, prefix: "a:", `+rule+`}]`)
		if _, err := Load(nil, filepath.Join(dir, "bad.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", rule, err)
		}
	}
}
