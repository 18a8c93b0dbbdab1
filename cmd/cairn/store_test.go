package main

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/engine"
	"cairn/policy"
	"cairn/session"
	"cairn/session/sessiontest"
)

// memoryKeeper is a keeper that is no store of the engine.
type memoryKeeper struct {
	*sessiontest.Model
	observers *session.Observers
}

func (k memoryKeeper) Observe(events []session.Event)   { k.observers.Observe(events) }
func (k memoryKeeper) Describe(chan<- *prometheus.Desc) {}
func (k memoryKeeper) Collect(chan<- prometheus.Metric) {}
func (k memoryKeeper) Stats() session.Stats             { return session.Stats{Items: 42} }
func (k memoryKeeper) Forecast() []session.ForecastSlot { return nil }
func (k memoryKeeper) Checkpoint(string) error          { return nil }
func (k memoryKeeper) SetHotBytes(int64) error          { return nil }
func (k memoryKeeper) Quiesce(context.Context) error    { return nil }
func (k memoryKeeper) ReadOnly() bool                   { return false }
func (k memoryKeeper) Resume()                          {}
func (k memoryKeeper) Scan(context.Context, []byte, []byte, func(*session.Item) bool) error {
	return nil
}

func setAndCount(t *testing.T, s *store, told *sessiontest.Recorder) int {
	t.Helper()
	b := &session.Burst{Now: s.Now()}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never}
	if session.Do(s, b); b.Results[0].Status != session.OK {
		t.Fatalf("%+v", b.Results[0])
	}
	return len(told.Take())
}

// Whatever keeps the sessions, what stands before it is the same, and those who
// observe go on when it was given away and came back.
func TestStoreIsLentAndOpenedAgain(t *testing.T) {
	rules, err := policy.Open(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, keep := range map[string]opener{
		"engine": openEngine,
		"other": func(o engine.Options, _ func(keeper, error)) (keeper, error) {
			k := memoryKeeper{sessiontest.NewModel(0), o.Observers}
			k.Subscribe(k)
			return k, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(keep, engine.Options{Dir: t.TempDir(), DiskReserve: -1, Observers: new(session.Observers)}, rules, 1)
			if err := s.open(false); err != nil {
				t.Fatal(err)
			}
			told := new(sessiontest.Recorder)
			cancel := s.Subscribe(told)
			if n := setAndCount(t, s, told); n != 1 {
				t.Errorf("%d events of a set", n)
			}
			if err := s.quiesce(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.lend(); err != nil {
				t.Fatal(err)
			}
			if err := s.open(true); err != nil {
				t.Fatal(err)
			}
			if n := setAndCount(t, s, told); n != 1 {
				t.Errorf("%d events of a set once the store was back", n)
			}
			cancel()
			if n := setAndCount(t, s, told); n != 0 {
				t.Errorf("%d events after the end", n)
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// readOnlyKeeper waits for another to take its place.
type readOnlyKeeper struct{ memoryKeeper }

func (readOnlyKeeper) ReadOnly() bool { return true }

// A store that becomes writable after it was closed is closed as well.
func TestStoreThatIsWritableTooLateIsClosed(t *testing.T) {
	var late func(keeper, error)
	keep := func(_ engine.Options, writable func(keeper, error)) (keeper, error) {
		late = writable
		return readOnlyKeeper{memoryKeeper{Model: sessiontest.NewModel(0)}}, nil
	}
	rules, err := policy.Open(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(keep, engine.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}, rules, 1)
	if err := s.open(false); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	k := memoryKeeper{Model: sessiontest.NewModel(0)}
	late(k, nil)
	b := &session.Burst{}
	*b.Add() = session.Command{Op: session.OpGet, Key: []byte("k")}
	if session.Do(k, b); b.Results[0].Err != session.ErrClosed {
		t.Errorf("it is open: %+v", b.Results[0])
	}
}
