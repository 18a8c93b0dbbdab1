package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"cairn/session"
	"cairn/session/sessiontest"
)

// modelEngine is an Engine in memory: the reference model with a clock that
// the test moves, and statistics that the test sets.
type modelEngine struct {
	*sessiontest.Model
	clock atomic.Int64
	stats atomic.Pointer[session.Stats] // Items and Bytes are counted instead
}

// testStart is where a modelEngine's clock begins.
const testStart = session.Time(1_800_000_000_000)

func newModelEngine() *modelEngine {
	e := &modelEngine{Model: sessiontest.NewModel(0)}
	e.clock.Store(int64(testStart))
	e.stats.Store(&session.Stats{})
	return e
}

func (e *modelEngine) Now() session.Time { return session.Time(e.clock.Load()) }

func (e *modelEngine) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	for _, it := range e.Items(e.Now()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if bytes.HasPrefix(it.Key, prefix) && (after == nil || bytes.Compare(it.Key, after) > 0) && !fn(&it) {
			return nil
		}
	}
	return nil
}

func (e *modelEngine) Forecast() []session.ForecastSlot {
	const minute = 60_000
	byMinute := map[session.Time]*session.ForecastSlot{}
	for _, it := range e.Items(e.Now()) {
		from := session.Never
		if it.Expiry != session.Never {
			from = it.Expiry / minute * minute
		}
		if byMinute[from] == nil {
			byMinute[from] = &session.ForecastSlot{From: from}
		}
		byMinute[from].Items++
		byMinute[from].Bytes += int64(len(it.Key) + len(it.Value))
	}
	var slots []session.ForecastSlot
	for _, slot := range byMinute {
		slots = append(slots, *slot)
	}
	slices.SortFunc(slots, func(a, b session.ForecastSlot) int { return cmp.Compare(a.From, b.From) })
	return slots
}

func (e *modelEngine) Stats() session.Stats {
	stats := *e.stats.Load()
	for _, it := range e.Items(e.Now()) {
		stats.Items++
		stats.Bytes += int64(len(it.Key) + len(it.Value))
	}
	return stats
}

// Checkpoint writes one file per session.
func (e *modelEngine) Checkpoint(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, it := range e.Items(e.Now()) {
		name := filepath.Join(dir, quoteKey(it.Key))
		if err := os.WriteFile(name, it.Value, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// put stores a session in the model that expires at an instant.
func (e *modelEngine) put(key, value string, expiry session.Time) {
	var b session.Burst
	b.Reset(e.Now())
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: expiry}
	session.Do(e, &b)
}
