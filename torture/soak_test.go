package torture

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"cairn/engine"
	"cairn/session"
)

// TestSoak lets days of sliding sessions pass in minutes: the store's time is
// the traffic's, not the wall's. Sessions come, live on by touches and
// rewrites, and die of neglect. Once the first ones have died, what the store
// uses must not grow: memory, goroutines, open files, disk.
// The long form draws it.
func TestSoak(t *testing.T) {
	soak := newSoak(t)
	total := rounds(24, 24*30*6) // of ten minutes of the store's time: a month
	for range total {
		soak.tenMinutes()
	}
	soak.judge(total / 3) // the first third is warming up
	if long {
		soak.draw(*outDir)
	}
	last := soak.samples[len(soak.samples)-1]
	figures(t, "%.0f hours of traffic, %d commands; at the end %d sessions of %d bytes, %d MB on disk, %d MB of heap, "+
		"%d goroutines, %d open files, p99 of a burst %v", float64(total)/6, soak.commands, last.items, last.live,
		last.disk>>20, last.heap>>20, last.goroutines, last.files, last.p99)
}

// soak is a store and the visitors of a site.
type soak struct {
	t     *testing.T
	dir   string
	store *engine.Store

	mu  sync.Mutex
	now time.Time

	rng      *rand.Rand
	visitors []uint64 // the sessions that are in use
	born     uint64
	commands int
	samples  []soakSample
}

// soakSample is what the store used at one moment.
type soakSample struct {
	disk, heap, live         int64 // bytes
	items, goroutines, files int
	p99                      time.Duration
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, rng: newRand(t), dir: filepath.Join(t.TempDir(), "data"), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	store, err := engine.Open(engine.Options{
		Dir: s.dir, Wall: s.clock, DropEvery: -1, HotBytes: 2 << 20, MemtableBytes: 1 << 20, BlockCacheBytes: 2 << 20,
		Durability: engine.Durability{Interval: time.Second}, // years of fsyncs would take years
		Logger:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.store = store
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *soak) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *soak) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

const soakTTL = 30 * time.Minute

// soakVisitors is how many visitors there are at a time.
func soakVisitors() int { return rounds(60, 300) }

// tenMinutes of traffic: each visitor comes back every minute or so; one in
// twenty leaves for good and another comes.
func (s *soak) tenMinutes() {
	waits := hdr.New(1, int64(time.Minute), 3)
	for range 60 {
		b := &session.Burst{Now: s.store.Now()}
		for range soakVisitors() / 6 { // of them within ten seconds
			s.visit(b)
		}
		s.commands += len(b.Commands)
		began := time.Now()
		session.Do(s.store, b)
		waits.RecordValue(int64(time.Since(began)))
		for i := range b.Results {
			if r := &b.Results[i]; r.Status == session.Failed {
				s.t.Fatal(r.Err)
			}
		}
		s.advance(10 * time.Second)
		s.store.Tick(context.Background())
	}
	if err := s.store.DropExpired(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	s.sample(time.Duration(waits.ValueAtQuantile(99)))
}

// visit reads one session and rewrites or touches it.
func (s *soak) visit(b *session.Burst) {
	i := s.rng.IntN(max(1, len(s.visitors)))
	if len(s.visitors) < soakVisitors() {
		s.born++
		s.visitors = append(s.visitors, s.born)
		i = len(s.visitors) - 1
	} else if s.rng.IntN(20) == 0 {
		s.born++
		s.visitors[i] = s.born
	}
	id := s.visitors[i]
	key := fmt.Appendf(nil, "session:%016x", id*0x9E3779B97F4A7C15)
	*b.Add() = session.Command{Op: session.OpGet, Key: key}
	expiry := b.Now.Add(soakTTL)
	if s.rng.IntN(3) == 0 {
		*b.Add() = session.Command{Op: session.OpTouch, Key: key, Expiry: expiry}
		return
	}
	*b.Add() = session.Command{Op: session.OpSet, Key: key, Value: soakValue(id, s.commands), Expiry: expiry}
}

func soakValue(id uint64, version int) []byte {
	value := fmt.Appendf(nil, `{"user":%d,"version":%d,"cart":[`, id, version)
	for i := range 20 + id%100 {
		value = fmt.Appendf(value, `{"item":%d,"count":%d},`, (id*31+i*7919)%100_000, i%5)
	}
	return append(value, "]}"...)
}

func (s *soak) sample(p99 time.Duration) {
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	stats := s.store.Stats()
	sample := soakSample{
		disk: diskUse(s.t, s.dir), heap: int64(mem.HeapAlloc), live: stats.Bytes, items: int(stats.Items),
		goroutines: runtime.NumGoroutine(), p99: p99,
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		sample.files = len(fds)
	}
	s.samples = append(s.samples, sample)
}

func diskUse(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files go while we look
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// judge compares the last third of the samples with the one before it.
func (s *soak) judge(warm int) {
	s.t.Helper()
	middle, last := s.samples[warm:2*warm], s.samples[2*warm:]
	for _, figure := range []struct {
		name  string
		of    func(soakSample) int64
		slack int64 // growth that means nothing
	}{
		{"bytes on disk", func(s soakSample) int64 { return s.disk }, 8 << 20},
		{"bytes of heap", func(s soakSample) int64 { return s.heap }, 16 << 20},
		{"goroutines", func(s soakSample) int64 { return int64(s.goroutines) }, 10},
		{"open files", func(s soakSample) int64 { return int64(s.files) }, 20},
		{"sessions", func(s soakSample) int64 { return int64(s.items) }, 100},
	} {
		before, after := int64(0), int64(0)
		for _, sample := range middle {
			before = max(before, figure.of(sample))
		}
		for _, sample := range last {
			after = max(after, figure.of(sample))
		}
		if after > before+before/4+figure.slack {
			s.t.Errorf("%s grew from %d to %d", figure.name, before, after)
		}
	}
}

// draw plots every figure over the hours of traffic.
func (s *soak) draw(dir string) {
	s.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for name, of := range map[string]func(soakSample) float64{
		"disk-MB":    func(s soakSample) float64 { return float64(s.disk) / (1 << 20) },
		"heap-MB":    func(s soakSample) float64 { return float64(s.heap) / (1 << 20) },
		"goroutines": func(s soakSample) float64 { return float64(s.goroutines) },
		"files":      func(s soakSample) float64 { return float64(s.files) },
		"p99-ms":     func(s soakSample) float64 { return float64(s.p99) / float64(time.Millisecond) },
	} {
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text, p.Y.Min = "Soak: "+name, "hours of traffic", name, 0
		points := make(plotter.XYs, len(s.samples))
		for i, sample := range s.samples {
			points[i] = plotter.XY{X: float64(i+1) / 6, Y: of(sample)}
			p.Y.Max = max(p.Y.Max, points[i].Y*1.1)
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			s.t.Fatal(err)
		}
		p.Add(line, plotter.NewGrid())
		if err := p.Save(16*vg.Centimeter, 8*vg.Centimeter, filepath.Join(dir, "soak-"+name+".svg")); err != nil {
			s.t.Fatal(err)
		}
		plotted("soak-" + name + ".svg")
	}
}
