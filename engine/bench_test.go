package engine

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/session"
	"cairn/session/codec"
)

const (
	benchItems = 20_000
	benchTTL   = 30 * time.Minute
)

// benchStore opens a store on disk that holds benchItems sessions of 1 KB.
func benchStore(b *testing.B, set func(o *Options)) *Store {
	o := Options{
		Dir:         b.TempDir(),
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
		DiskReserve: -1,
	}
	set(&o)
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	var in session.Burst
	for i := 0; i < benchItems; {
		in.Reset(s.Now())
		for range 200 {
			benchSet(in.Add(), s.Now(), i)
			i++
		}
		session.Do(s, &in)
	}
	return s
}

func benchSet(c *session.Command, now session.Time, i int) {
	*c = session.Command{Op: session.OpSet, Key: benchKey(i), Value: make([]byte, 1000), Expiry: now.Add(benchTTL)}
	for j := range c.Value {
		c.Value[j] = byte(i*7 + j*j>>4)
	}
}

func benchKey(i int) []byte { return fmt.Appendf(nil, "memc.sess.key.%08d", i) }

func benchBurst(b *testing.B, s *Store, make func(c *session.Command, i int)) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var in session.Burst
		in.Reset(s.Now())
		c := in.Add()
		for i := 0; pb.Next(); i++ {
			in.Now = s.Now()
			make(c, i*7919%benchItems)
			session.Do(s, &in)
			if in.Results[0].Status == session.Failed {
				b.Error(in.Results[0].Err)
			}
		}
	})
}

func benchKeys() [][]byte {
	keys := make([][]byte, benchItems)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	return keys
}

func BenchmarkGetHot(b *testing.B) {
	s, keys := benchStore(b, func(*Options) {}), benchKeys()
	b.ResetTimer()
	benchBurst(b, s, func(c *session.Command, i int) { c.Op, c.Key = session.OpGet, keys[i] })
}

func BenchmarkGetFromDisk(b *testing.B) {
	s, keys := benchStore(b, func(o *Options) { o.HotBytes = -1 }), benchKeys()
	if err := s.files.db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	benchBurst(b, s, func(c *session.Command, i int) { c.Op, c.Key = session.OpGet, keys[i] })
}

func BenchmarkGetAbsent(b *testing.B) {
	s := benchStore(b, func(o *Options) { o.HotBytes = -1 })
	key := []byte("memc.sess.key.absent")
	b.ResetTimer()
	benchBurst(b, s, func(c *session.Command, i int) { c.Op, c.Key = session.OpGet, key })
}

func benchWrites(b *testing.B, write func(s *Store, c *session.Command, i int)) {
	for _, mode := range []struct {
		name       string
		durability Durability
		parallel   int
	}{{"sync-1", Durability{}, 1}, {"sync-64", Durability{}, 32}, {"interval", Durability{Interval: 100 * time.Millisecond}, 1}} {
		b.Run(mode.name, func(b *testing.B) {
			s := benchStore(b, func(o *Options) { o.Durability = mode.durability })
			b.SetParallelism(mode.parallel)
			b.ResetTimer()
			benchBurst(b, s, func(c *session.Command, i int) { write(s, c, i) })
		})
	}
}

func BenchmarkSet(b *testing.B) {
	value, keys := make([]byte, 1000), benchKeys()
	benchWrites(b, func(s *Store, c *session.Command, i int) {
		*c = session.Command{Op: session.OpSet, Key: keys[i], Value: value, Expiry: s.Now().Add(benchTTL)}
	})
}

func BenchmarkTouch(b *testing.B) {
	keys := benchKeys()
	benchWrites(b, func(s *Store, c *session.Command, i int) {
		*c = session.Command{Op: session.OpTouch, Key: keys[i], Expiry: s.Now().Add(benchTTL)}
	})
}

// BenchmarkCommit lets 4 or 50 goroutines commit sessions of 1.8 KB, from an empty
// store on, while memtables are flushed and tables compacted.
//
//	go test ./engine -run - -bench Commit/50 -benchtime 250000x
func BenchmarkCommit(b *testing.B) {
	for _, committers := range []int{4, 50} {
		b.Run(fmt.Sprint(committers, "/logs=grow"), func(b *testing.B) { benchCommit(b, committers, -1) })
		b.Run(fmt.Sprint(committers, "/logs=spare"), func(b *testing.B) { benchCommit(b, committers, 0) })
	}
}

func benchCommit(b *testing.B, committers, spares int) {
	const size = 1800
	s, err := Open(Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), SpareLogs: spares})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.PrepareLogs(b.Context()); err != nil { // as a restart finds them
		b.Fatal(err)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for w := range committers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			value := make([]byte, size)
			in := session.Burst{}
			in.Reset(s.Now())
			c := in.Add()
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				for j := range size / 2 { // half of it compresses
					value[j] = byte(random.Uint32())
				}
				in.Now = s.Now()
				*c = session.Command{Op: session.OpSet, Key: benchKey(random.IntN(100_000)), Value: value, Expiry: in.Now.Add(benchTTL)}
				start := time.Now()
				session.Do(s, &in)
				took[i-1] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
	tables, _ := s.TableFigures()
	b.ReportMetric(tables.SyncTimes.Sum.Seconds()*1e6/float64(tables.SyncTimes.Count), "sync-µs")
	b.ReportMetric(float64(s.Figures().Disk.WriteStalls), "stalls")
}

// BenchmarkReplay carries out entries of a log with one set each, as a node of a
// cluster does.
func BenchmarkReplay(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), DiskReserve: -1, ExternalLog: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(1, 1))
	entries := make([][]byte, 2000)
	for i := range entries {
		value := slices.Concat(sessionValue(r), sessionValue(r), sessionValue(r), sessionValue(r), sessionValue(r), sessionValue(r))
		in := &session.Burst{Now: s.Now(), Commands: []session.Command{
			{Op: session.OpSet, Key: benchKey(i), Value: value, Expiry: s.Now().Add(benchTTL)},
		}}
		if err := s.Admit(in, codec.Latest); err != nil {
			b.Fatal(err)
		}
		if entries[i], err = codec.AppendBurst(nil, in, codec.Latest); err != nil {
			b.Fatal(err)
		}
	}
	var in session.Burst
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := codec.DecodeBurst(entries[i%len(entries)], &in); err != nil {
			b.Fatal(err)
		}
		if err := s.Replay(Position{Index: uint64(i + 1)}, &in); err != nil {
			b.Fatal(err)
		}
	}
}
