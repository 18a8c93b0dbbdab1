package analysis

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/policy"
	"cairn/session"
)

// source is sessions in order of their keys.
type source struct {
	items   []session.Item
	scanned int // items that a scan gave
}

const now = session.Time(1_800_000_000_000)

func (s *source) Now() session.Time    { return now }
func (s *source) Stats() session.Stats { return session.Stats{Items: int64(len(s.items))} }

func (s *source) put(key, value string, edit func(it *session.Item)) {
	it := session.Item{Key: []byte(key), Value: []byte(value), Expiry: session.Never}
	if edit != nil {
		edit(&it)
	}
	s.items = append(s.items, it)
}

func (s *source) sort() {
	slices.SortFunc(s.items, func(a, b session.Item) int { return strings.Compare(string(a.Key), string(b.Key)) })
}

func (s *source) Scan(_ context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	from := string(prefix)
	if after != nil && string(after) >= from {
		from = string(after) + "\x00"
	}
	i, _ := slices.BinarySearchFunc(s.items, from, func(it session.Item, key string) int { return strings.Compare(string(it.Key), key) })
	for ; i < len(s.items) && strings.HasPrefix(string(s.items[i].Key), string(prefix)); i++ {
		s.scanned++
		if !fn(&s.items[i]) {
			break
		}
	}
	return nil
}

func rules(t testing.TB, text string) *policy.Rules {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := policy.Open(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func noRest(context.Context, time.Duration) error { return nil }

func analyze(t testing.TB, o Options) adminapi.Analysis {
	t.Helper()
	o.Rest = noRest
	found, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAll looks at all of a few sessions.
func TestAll(t *testing.T) {
	s := &source{}
	for i := range 100 {
		s.put(fmt.Sprintf("php.%02d", i), `user|s:5:"alice";cart|a:1:{s:5:"items";s:80:"`+strings.Repeat("x", 80)+`";}`, func(it *session.Item) {
			it.Created = now - session.Time(i+1)*1000
			it.LastAccess, it.Fetched = now, i < 75
		})
	}
	s.put("php.lock.1", "1", nil)
	s.put("other", `{"0123456789abcdef":{"17":1},"list":[1,2]}`, nil)
	s.put("raw", "\x00\x01", nil)
	s.sort()
	found := analyze(t, Options{Source: s, Rules: rules(t, "rules: [{name: php, prefix: php., locks: php.lock.}]")})
	if !found.Complete || found.Sampled != 103 || len(found.Rules) != 3 {
		t.Fatalf("%+v", found)
	}
	php := found.Rules[0]
	if php.Rule != "php" || php.Kind != "session" || php.Sessions != 100 || php.Bytes != 100*int64(len(s.items[1].Value)) {
		t.Errorf("%+v", php)
	}
	if php.AgeOf != 100 || php.Age.P50 != 50 || php.Age.Max != 100 || php.Remembered != 100 || math.Abs(php.NeverRead-0.25) > 1e-9 {
		t.Errorf("age %+v of %d, never read %v of %d", php.Age, php.AgeOf, php.NeverRead, php.Remembered)
	}
	if want := []adminapi.FormatShare{{Format: "php_session", Share: 1}}; !slices.Equal(php.Formats, want) {
		t.Errorf("formats %+v", php.Formats)
	}
	if m := php.Members; len(m) != 3 || m[0].Path != "cart" || m[1].Path != "cart.items" || m[2].Path != "user" ||
		m[0].Share < 0.7 || m[2].Share > 0.3 || m[0].Present != 1 {
		t.Errorf("members %+v", m)
	}
	none := found.Rules[1]
	var paths []string
	for _, m := range none.Members {
		paths = append(paths, m.Path)
	}
	slices.Sort(paths)
	if none.Rule != "" || none.Sessions != 2 || !slices.Equal(paths, []string{"*", "*.*", "list", "list[]"}) || len(none.Formats) != 2 {
		t.Errorf("%+v, paths %q", none, paths)
	}
	if lock := found.Rules[2]; lock.Rule != "php" || lock.Kind != "lock" || lock.Sessions != 1 {
		t.Errorf("%+v", lock)
	}
}

// TestSample looks at a part of many sessions, of ids of several kinds.
func TestSample(t *testing.T) {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	random := rand.New(rand.NewPCG(1, 2))
	s := &source{}
	for i := range 100_000 {
		s.put(fmt.Sprintf("sess:%016x%016x", random.Uint64(), random.Uint64()), "12345678", nil)
		if i%4 == 0 {
			id := make([]byte, 32)
			for j := range id {
				id[j] = alnum[random.IntN(len(alnum))]
			}
			s.put("memc.sess.key."+string(id), strings.Repeat("x", 100), nil)
		}
		if i%10 == 0 {
			s.put(fmt.Sprintf("count:%08d", i), "1", nil)
		}
		if i%1000 == 0 {
			s.put(fmt.Sprintf("%016x", random.Uint64()), "bare", nil)
		}
	}
	s.sort()
	o := Options{Source: s, Sample: 5000, Rules: rules(t, `rules:
  - {name: express, prefix: "sess:"}
  - {name: php, prefix: memc.sess.key.}
  - {name: counts, prefix: "count:"}`)}
	found := analyze(t, o)
	if found.Complete || found.Sampled < 2500 || found.Sampled > 12_000 {
		t.Errorf("%d of %d were looked at", found.Sampled, len(s.items))
	}
	for rule, want := range map[string]float64{"express": 100_000, "php": 25_000, "counts": 10_000} {
		i := slices.IndexFunc(found.Rules, func(r adminapi.RuleAnalysis) bool { return r.Rule == rule })
		if i < 0 {
			t.Errorf("no %s was found", rule)
		} else if got := float64(found.Rules[i].Sessions); got < want/1.3 || got > want*1.3 {
			t.Errorf("%s: about %v, there are %v", rule, got, want)
		}
	}
	if s.scanned > 3*found.Sampled {
		t.Errorf("%d were read for a sample of %d", s.scanned, found.Sampled)
	}

	o.Rule = "counts"
	if found := analyze(t, o); len(found.Rules) != 1 || found.Rules[0].Sessions < 5000 || found.Rules[0].Sessions > 15_000 {
		t.Errorf("only counts: %+v", found)
	}
	o.Rule, o.Prefix = "", []byte("memc.")
	if found := analyze(t, o); len(found.Rules) != 1 || found.Rules[0].Rule != "php" || found.Rules[0].Sessions < 18_000 || found.Rules[0].Sessions > 33_000 {
		t.Errorf("only memc.: %+v", found)
	}
}

// TestBounded feeds more kinds of members than are counted, and ends with its context.
func TestBounded(t *testing.T) {
	s := &source{}
	for i := range 2000 {
		s.put(fmt.Sprintf("k%05d", i), fmt.Sprintf(`{"member%c%c%c":{"x":"%s"}}`, 'a'+i%26, 'a'+i/26%26, 'a'+i/676, strings.Repeat("y", 50)), nil)
	}
	r := &run{options: Options{Source: s}, ctx: t.Context(), groups: map[groupKey]*group{}}
	for i := range s.items {
		r.look(&s.items[i], 1)
	}
	if g := r.groups[groupKey{}]; len(g.members) != maxMembers || len(g.shownMembers()) != shownMembers {
		t.Errorf("%d members are counted, %d shown", len(g.members), len(g.shownMembers()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Source: s}); err == nil {
		t.Error("it went on without its context")
	}
}

// TestLeap leaps a known distance in ids that count up, and never back or too far.
func TestLeap(t *testing.T) {
	key := func(i int) []byte { return fmt.Appendf(nil, "count:%08d", i) }
	var keys [][]byte
	for i := range 128 {
		keys = append(keys, key(4000+i))
	}
	if got, low, high := string(leap(keys, 1000)), string(key(4127+700)), string(key(4127+1300)); got < low || got > high {
		t.Errorf("1000 further is %q", got)
	}
	if got := string(leap(keys, 1e12)); got <= "count:00" || got >= "count:1" {
		t.Errorf("the end is %q", got)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		var keys [][]byte
		for range fewKeys {
			key := make([]byte, 1+random.IntN(session.MaxKeyLen))
			for i := range key {
				key[i] = byte(random.Uint32())
			}
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
		if got := leap(keys, random.Float64()*1e6); string(got) < string(keys[fewKeys-1]) || len(got) > session.MaxKeyLen {
			t.Fatalf("from %q to %q", keys[fewKeys-1], got)
		}
	}
}
