package owners_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"cairn/engine"
	"cairn/owners"
	"cairn/policy"
	"cairn/session"
)

// admitted is a store behind rules.
type admitted struct {
	*engine.Store
	rules *policy.Rules
}

func (a admitted) Apply(b *session.Burst, to session.Completer) {
	a.rules.Admit(b)
	a.Store.Apply(b, to)
}

func openBench(b *testing.B, rules string) (admitted, *owners.Directory) {
	b.Helper()
	dir := b.TempDir()
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		b.Fatal(err)
	}
	r, err := policy.Open(nil, file)
	if err != nil {
		b.Fatal(err)
	}
	store, err := engine.Open(engine.Options{
		Dir: filepath.Join(dir, "store"), DiskReserve: -1, HotBytes: 32 << 20, Logger: slog.New(slog.DiscardHandler),
		Durability: engine.Durability{Interval: engine.MaxInterval}, // the disk's syncs are not what is measured
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	a := admitted{store, r}
	d := owners.New(owners.Options{Store: a, Rules: r, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	d.Start()
	b.Cleanup(d.Stop)
	return a, d
}

// phpValue is a session of PHP of about 1.7 KB with an id in the middle.
func phpValue(user, version int) []byte {
	value := fmt.Appendf(nil, `csrf|s:32:"%032x";last|i:%d;`, version, version)
	for i := range 12 {
		value = fmt.Appendf(value, `item%02d|a:2:{s:3:"sku";s:10:"A-%08d";s:5:"title";s:24:"%024d";}`, i, i*7919, i*104729)
	}
	value = fmt.Appendf(value, `user_id|i:%d;`, user)
	for i := range 5 {
		value = fmt.Appendf(value, `note%02d|s:64:"%064x";`, i, version*31+i)
	}
	return value
}

// BenchmarkSet stores sessions over older ones, 16 in a burst, with no rule, with a rule
// that only keeps when they began, and with one that says whose they are.
func BenchmarkSet(b *testing.B) {
	for name, rules := range map[string]string{
		"none":    `rules: []`,
		"tracked": `rules: [{name: php, prefix: "s:", absolute: 12h}]`,
		"owner":   `rules: [{name: php, prefix: "s:", absolute: 12h, owner: "php: user_id"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			store, _ := openBench(b, rules)
			const sessions = 4096
			values := make([][]byte, sessions)
			for i := range values {
				values[i] = phpValue(i, i)
			}
			var burst session.Burst
			b.SetBytes(int64(len(values[0])))
			b.ResetTimer()
			before := processorTime(b)
			defer func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }()
			for i := 0; i < b.N; i += 16 {
				burst.Reset(store.Now())
				for j := range 16 {
					n := (i + j) % sessions
					*burst.Add() = session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "s:%06d", n), Value: values[(n+i/sessions)%sessions], Expiry: burst.Now.Add(30 * time.Minute)}
				}
				session.Do(store, &burst)
			}
		})
	}
}

// BenchmarkKick ends the sessions of users, one after the other, among a million
// sessions of a hundred thousand.
func BenchmarkKick(b *testing.B) {
	const users, each = 100_000, 10
	for _, name := range []string{"no owner", "owner"} {
		b.Run(name, func(b *testing.B) {
			rules := `rules: [{name: php, prefix: "memc.sess.key.", absolute: 12h}]`
			if name == "owner" {
				rules = `rules: [{name: php, prefix: "memc.sess.key.", absolute: 12h, owner: "php: user_id"}]`
			}
			store, directory := openBench(b, rules)
			random := rand.New(rand.NewPCG(1, 2))
			var burst session.Burst
			before := logBytes(store.Store)
			for n := 0; n < users*each; n += 500 {
				burst.Reset(store.Now())
				for i := range 500 {
					user := (n + i) % users
					*burst.Add() = session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "memc.sess.key.%016x%016x", random.Uint64(), random.Uint64()),
						Value: fmt.Appendf(nil, `user_id|i:%d;token|s:16:"%016x";`, user, random.Uint64()), Expiry: burst.Now.Add(30 * time.Minute)}
				}
				session.Do(store, &burst)
			}
			logged := float64(logBytes(store.Store)-before) / (users * each)
			if err := store.Settle(); err != nil {
				b.Fatal(err)
			}
			f, _ := store.TableFigures()
			defer func() { // behind ResetTimer, which forgets it
				b.ReportMetric(logged, "log-B/session")
				b.ReportMetric(float64(f.Buckets[0].DiskBytes)/(users*each), "disk-B/session")
			}()
			if name == "no owner" {
				return
			}
			kicks := random.Perm(users)[:min(b.N, 2000)]
			var took []time.Duration
			b.ResetTimer()
			for _, user := range kicks {
				began := time.Now()
				done, err := directory.Kick(context.Background(), owners.Kick{Owner: fmt.Append(nil, user)})
				if err != nil || done.Deleted != each {
					b.Fatalf("%+v, error %v", done, err)
				}
				took = append(took, time.Since(began))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// processorTime is what the process has used until now, in nanoseconds: what others do
// on the machine counts less in it than in the time that passes.
func processorTime(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func logBytes(s *engine.Store) uint64 {
	f, _ := s.TableFigures()
	return f.WAL.BytesWritten
}
