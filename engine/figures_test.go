package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
	"cairn/session"
	"cairn/session/sessiontest"
	"time"
)

// TestTimesOfCommits checks that each batch is timed once, whether somebody
// waits for it or not.
func TestTimesOfCommits(t *testing.T) {
	for name, interval := range map[string]time.Duration{"Sync": 0, "Interval": MaxInterval} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
			o.Durability.Interval = interval
			s := openStore(t, o)
			var b session.Burst
			for range 5 {
				b.Reset(s.Now())
				*b.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never}
				session.Do(s, &b)
				b.Reset(s.Now())
				*b.Add() = session.Command{Op: session.OpGet, Key: []byte("k")}
				session.Do(s, &b)
			}
			stats := s.Figures()
			if stats.Commits != 5 || stats.CommitTimes.Count != 5 || stats.CommitTimes.Sum <= 0 {
				t.Errorf("%d commits, of which %d took %v", stats.Commits, stats.CommitTimes.Count, stats.CommitTimes.Sum)
			}
			if syncs := tablesOf(s).SyncTimes.Count; interval == 0 && syncs < 5 {
				t.Errorf("%d fsyncs", syncs)
			}
		})
	}
}

// TestDeclaredFigures compares some figures of each floor, as a registry has
// them, with what was done.
func TestDeclaredFigures(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	want(t, s, session.OK, set(s, "k", "value", time.Hour))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	samples, err := figures.Gather(registry)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"cairn_sessions": 1, "cairn_session_bytes": 6, "cairn_sessions_stored_total": 1, "cairn_commits_total": 1,
		"cairn_user_written_bytes_total": 6, "cairn_hot_cache_sessions": 1, "cairn_out_of_space": 0, "cairn_buckets": 1,
	} {
		if got := samples[name]; len(got) != 1 || got[0].Value != want {
			t.Errorf("%s: %+v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"cairn_disk_bytes", "cairn_memtable_bytes"} {
		if got := samples[name]; len(got) != 1 || got[0].Value <= 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	written := map[string]float64{}
	for _, sample := range samples["cairn_disk_written_bytes_total"] {
		written[sample.Labels["purpose"]] = sample.Value
	}
	if len(written) != 3 || written["wal"] == 0 {
		t.Errorf("written: %v", written)
	}
	if got := samples["cairn_commit_duration_seconds"]; len(got) != 1 || got[0].Times.Count != 1 {
		t.Errorf("commits: %+v", got)
	}
	if got := samples["cairn_bucket_disk_bytes"]; len(got) != 1 || got[0].Labels["deadline"] == "" {
		t.Errorf("buckets: %+v", got)
	}
	checkAndClose(t, s)
	if samples, err = figures.Gather(registry); err != nil || !samples.Has("cairn_sessions") || samples.Has("cairn_disk_bytes") {
		t.Errorf("after Close: %v, %d figures", err, len(samples))
	}
}
