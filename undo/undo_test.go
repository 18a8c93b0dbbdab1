package undo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/engine"
	"cairn/session"
	"cairn/session/sessiontest"
	"cairn/undo"
)

// rig is a Keeper on a real store.
type rig struct {
	t     *testing.T
	dir   string
	clock *sessiontest.Clock
	*engine.Store
	keeper *undo.Keeper
}

type from struct{ name string }

func (f *from) Front() string { return f.name }
func (f *from) ID() uint64    { return 1 }
func (f *from) User() string  { return "" }

var admin, client session.Origin = &from{"admin"}, &from{"client"}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), clock: sessiontest.NewClock()}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) options(dir string, readOnly bool) engine.Options {
	return engine.Options{Dir: dir, Wall: r.clock.Wall, DropEvery: -1, DiskReserve: -1, SpareLogs: -1, ReadOnly: readOnly, JustClosed: readOnly}
}

func (r *rig) open() {
	var err error
	if r.Store, err = engine.Open(r.options(filepath.Join(r.dir, "store"), false)); err != nil {
		r.t.Fatal(err)
	}
	r.keeper = undo.New(undo.Options{
		Store: r.Store, Dir: filepath.Join(r.dir, "undo"), For: 30 * time.Minute,
		Open: func(dir string) (undo.Reader, error) { return engine.Open(r.options(dir, true)) },
	})
	r.keeper.Start()
}

func (r *rig) close() {
	r.keeper.Stop()
	if err := r.Store.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) do(origin session.Origin, c session.Command) session.Result {
	r.t.Helper()
	b := &session.Burst{Now: r.Now(), Origin: origin, Commands: []session.Command{c}}
	session.Do(r.Store, b)
	if b.Results[0].Status == session.Failed {
		r.t.Fatal(b.Results[0].Err)
	}
	return b.Results[0]
}

func (r *rig) set(key, owner string) {
	r.t.Helper()
	r.do(client, session.Command{Op: session.OpSet, Mods: session.Tracked, Key: []byte(key), Value: []byte("value of " + key), Flags: 7,
		Owner: []byte(owner), Expiry: r.Now().Add(time.Hour)})
}

func (r *rig) delete(origin session.Origin, keys ...string) {
	r.t.Helper()
	for _, key := range keys {
		r.do(origin, session.Command{Op: session.OpDelete, Key: []byte(key)})
	}
}

func (r *rig) flush(origin session.Origin) { r.do(origin, session.Command{Op: session.OpFlush}) }

func (r *rig) want(keys string) {
	r.t.Helper()
	var all []string
	if err := r.Scan(context.Background(), nil, nil, func(it *session.Item) bool {
		all = append(all, string(it.Key))
		return true
	}); err != nil {
		r.t.Fatal(err)
	}
	if got := strings.Join(all, " "); got != keys {
		r.t.Errorf("there are %q, want %q", got, keys)
	}
}

func (r *rig) before() string {
	r.t.Helper()
	id, done := r.keeper.Before(context.Background(), "test", admin)
	if id == "" {
		r.t.Fatal("no point")
	}
	r.t.Cleanup(done)
	return id
}

func (r *rig) apply(id string, want undo.Applied) {
	r.t.Helper()
	if got, err := r.keeper.Apply(context.Background(), id, nil, false, admin); err != nil || got != want {
		r.t.Errorf("%+v, error %v, want %+v", got, err, want)
	}
}

// A flush is undone but for what its users have deleted, stored again or outlived.
func TestFlushIsUndone(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c", "d"} {
		r.set(key, "ann")
	}
	before := r.do(nil, session.Command{Op: session.OpGet, Key: []byte("a")}).Item
	created, value := before.Created, string(before.Value)
	r.do(client, session.Command{Op: session.OpSet, Key: []byte("short"), Expiry: r.Now().Add(time.Minute)})
	id, done := r.keeper.Before(context.Background(), "flush", admin)
	r.flush(admin)
	done()
	r.want("")
	r.clock.Advance(2 * time.Minute)
	r.set("b", "bob")
	r.set("e", "eve")
	r.set("c", "ann")
	r.delete(client, "c") // logged out
	r.apply(id, undo.Applied{Examined: 4, Restored: 2, Present: 1, Deleted: 1})
	r.want("a b d e")
	after := r.do(nil, session.Command{Op: session.OpGet, Key: []byte("a")}).Item
	if after.Created != created || string(after.Value) != value || string(after.Owner) != "ann" || after.Flags != 7 || after.Expiry != before.Expiry {
		t.Errorf("%+v has come back as %+v", before, after)
	}
	r.apply(id, undo.Applied{Examined: 4, Present: 3, Deleted: 1})
	r.delete(client, "a")
	r.apply(id, undo.Applied{Examined: 4, Present: 2, Deleted: 2})
	r.want("b d e")
}

// What others do after the operation counts, though it comes from the same connection.
func TestOriginIsFreeAfterTheOperation(t *testing.T) {
	r := newRig(t)
	r.set("a", "")
	r.set("b", "")
	id, done := r.keeper.Before(context.Background(), "kick", admin)
	r.delete(admin, "a")
	done()
	r.delete(admin, "b")
	r.apply(id, undo.Applied{Examined: 2, Restored: 1, Deleted: 1})
	r.want("a")
}

// Each point brings back what its own operation has deleted, and no earlier one does.
func TestPointsAreApart(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c", "d"} {
		r.set(key, "")
	}
	step := func(keys ...string) string {
		t.Helper()
		id, done := r.keeper.Before(context.Background(), "kick", admin)
		defer done()
		r.delete(admin, keys...)
		return id
	}
	first := step("a")
	joined := step("b")
	if joined != first {
		t.Errorf("points %q and %q within a minute", first, joined)
	}
	r.clock.Advance(2 * time.Minute)
	second := step("c")
	if second == first || len(r.keeper.Points()) != 2 || r.keeper.Points()[0].ID != second {
		t.Errorf("points %+v", r.keeper.Points())
	}
	r.apply(first, undo.Applied{Examined: 4, Restored: 2, Present: 1, Deleted: 1})
	r.want("a b d")
	r.apply(second, undo.Applied{Examined: 2, Restored: 1, Present: 1})
	r.want("a b c d")

	r.clock.Advance(2 * time.Minute)
	third, done := r.keeper.Before(context.Background(), "flush", admin)
	r.flush(admin)
	done()
	if _, err := r.keeper.Apply(context.Background(), second, nil, false, admin); !errors.Is(err, undo.ErrFlushed) {
		t.Errorf("a point before the flush: %v", err)
	}
	r.apply(third, undo.Applied{Examined: 4, Restored: 4})
	r.flush(client)
	if _, err := r.keeper.Apply(context.Background(), third, nil, false, admin); !errors.Is(err, undo.ErrFlushed) {
		t.Errorf("a flush that was not to be undone: %v", err)
	}
	if _, err := r.keeper.Apply(context.Background(), "nothing", nil, false, admin); !errors.Is(err, undo.ErrNotFound) {
		t.Errorf("an unknown point: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a:1", "a:2", "b:1"} {
		r.set(key, "")
	}
	id := r.before()
	r.flush(admin)
	got, err := r.keeper.Apply(context.Background(), id, []byte("a:"), false, admin)
	if err != nil || got.Restored != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	r.want("a:1 a:2")
}

// A restart keeps points and what was noted, and removes what a crash has left.
func TestRestart(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c"} {
		r.set(key, "")
	}
	id, done := r.keeper.Before(context.Background(), "kick", admin)
	r.delete(admin, "a", "b")
	done()
	r.set("b", "")
	r.delete(client, "b")
	r.close()
	half := filepath.Join(r.dir, "undo", "20260102T000000.000Z.tmp")
	if err := os.MkdirAll(filepath.Join(half, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.open()
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a point is still there: %v", err)
	}
	if points := r.keeper.Points(); len(points) != 1 || points[0].ID != id || points[0].Sessions != 3 || points[0].Reason != "kick" {
		t.Errorf("points %+v", points)
	}
	r.delete(client, "c")
	r.apply(id, undo.Applied{Examined: 3, Restored: 1, Deleted: 2})
	r.want("a")
}

// A record of deletions that a crash has cut short is worth nothing: it is not known
// what is missing.
func TestCutShort(t *testing.T) {
	r := newRig(t)
	r.set("a", "")
	id := r.before()
	r.delete(client, "a")
	r.close()
	deleted := filepath.Join(r.dir, "undo", id, "deleted")
	if err := os.Truncate(deleted, 5); err != nil {
		t.Fatal(err)
	}
	r.open()
	if _, err := r.keeper.Apply(context.Background(), id, nil, false, admin); !errors.Is(err, undo.ErrGivenUp) {
		t.Errorf("error %v", err)
	}
	r.want("")
}

// A Keeper that was not stopped may have missed deletions, also when it had noted
// nothing since its start. Its points are applied only if that is accepted, and stay so
// over clean restarts.
func TestCrash(t *testing.T) {
	for name, restarts := range map[string]int{"first run": 0, "second run": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.set("a", "")
			r.set("b", "")
			id, done := r.keeper.Before(context.Background(), "kick", admin)
			r.delete(admin, "a", "b")
			done()
			for range restarts {
				r.close()
				r.open()
			}
			deleted := filepath.Join(r.dir, "undo", id, "deleted")
			r.close()
			info, err := os.Stat(deleted)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(deleted, info.Size()-8); err != nil { // the note of the stop
				t.Fatal(err)
			}
			for range 2 {
				r.open()
				if points := r.keeper.Points(); len(points) != 1 || !errors.Is(points[0].Err, undo.ErrCrashed) {
					t.Errorf("points %+v", points)
				}
				if _, err := r.keeper.Apply(context.Background(), id, nil, false, admin); !errors.Is(err, undo.ErrCrashed) {
					t.Errorf("error %v", err)
				}
				r.close()
			}
			r.open()
			if got, err := r.keeper.Apply(context.Background(), id, nil, true, admin); err != nil || got.Restored != 2 {
				t.Errorf("%+v, error %v", got, err)
			}
			r.want("a b")
		})
	}
}

// What a crash has cut short is cut off, so that later notes are read right.
func TestCutShortTwice(t *testing.T) {
	r := newRig(t)
	r.set("a", "")
	id := r.before()
	r.delete(client, "a")
	r.close()
	if err := os.Truncate(filepath.Join(r.dir, "undo", id, "deleted"), 5); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.open()
		if _, err := r.keeper.Apply(context.Background(), id, nil, true, admin); !errors.Is(err, undo.ErrGivenUp) {
			t.Errorf("error %v", err)
		}
		r.close()
	}
	r.open()
}

func TestPointsEnd(t *testing.T) {
	r := newRig(t)
	r.set("a", "")
	first := r.before()
	r.clock.Advance(20 * time.Minute)
	second := r.before()
	r.clock.Advance(11 * time.Minute)
	if points := r.keeper.Points(); len(points) != 1 || points[0].ID != second {
		t.Errorf("points %+v", points)
	}
	if _, err := r.keeper.Apply(context.Background(), first, nil, false, admin); !errors.Is(err, undo.ErrNotFound) {
		t.Errorf("a point whose time is over: %v", err)
	}
	r.keeper.Tick()
	names := func() (all []string) {
		entries, err := os.ReadDir(filepath.Join(r.dir, "undo"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{second}) {
		t.Errorf("on the disk are %q", got)
	}
	if err := r.keeper.Remove(first); !errors.Is(err, undo.ErrNotFound) {
		t.Errorf("remove of what is gone: %v", err)
	}
	if err := r.keeper.Remove(second); err != nil || len(names()) != 0 {
		t.Errorf("error %v, on the disk are %q", err, names())
	}
}

// Sessions come and go while points are made and applied: what a user has deleted last
// never comes back.
func TestNothingDeletedComesBack(t *testing.T) {
	r := newRig(t)
	key := func(i int) string { return fmt.Sprintf("k%03d", i) }
	for i := range 200 {
		r.set(key(i), "")
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.set(key(100+i%100), "")
				r.delete(client, key(100+i%100))
			}
		}
	}()
	id := r.before()
	for i := range 100 {
		r.delete(admin, key(i))
	}
	for range 5 {
		if _, err := r.keeper.Apply(context.Background(), id, []byte("k0"), false, admin); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-done
	for i := range 100 {
		r.delete(client, key(100+i))
	}
	got, err := r.keeper.Apply(context.Background(), id, nil, false, admin)
	if err != nil || got.Present != 100 || got.Restored != 0 {
		t.Errorf("%+v, error %v", got, err)
	}
	r.want(strings.Join(func() (all []string) {
		for i := range 100 {
			all = append(all, key(i))
		}
		return all
	}(), " "))
}

// A point is whole when it is made: a log or manifest whose end was cut since, or that is
// gone, is damage and not what a crash leaves. Before it is damaged the point can be
// applied again and again.
func TestDamagedPoint(t *testing.T) {
	for _, pattern := range []string{"*.log", "MANIFEST-*"} {
		for name, damage := range map[string]func(path string, size int64) error{
			"cut":     func(path string, size int64) error { return os.Truncate(path, size-1) },
			"emptied": func(path string, _ int64) error { return os.Truncate(path, 0) },
			"longer":  func(path string, size int64) error { return os.Truncate(path, size+1) },
			"gone":    func(path string, _ int64) error { return os.Remove(path) },
			"changed": func(path string, size int64) error {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				content[size-1] ^= 1
				return os.WriteFile(path, content, 0o600)
			},
		} {
			t.Run(pattern[:1]+name, func(t *testing.T) {
				r := newRig(t)
				r.set("a", "ann")
				id, done := r.keeper.Before(t.Context(), "flush", admin)
				r.flush(admin)
				done()
				r.apply(id, undo.Applied{Examined: 1, Restored: 1})
				r.apply(id, undo.Applied{Examined: 1, Present: 1})
				files, err := filepath.Glob(filepath.Join(r.dir, "undo", id, "store", pattern))
				if err != nil || len(files) == 0 {
					t.Fatalf("%v, %v", files, err)
				}
				for _, path := range files {
					info, err := os.Stat(path)
					if err == nil {
						err = damage(path, info.Size())
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				r.close()
				r.open() // the seals are on the disk
				if _, err := r.keeper.Apply(t.Context(), id, nil, false, admin); !errors.Is(err, undo.ErrDamaged) {
					t.Errorf("error %v", err)
				}
				r.want("a")
			})
		}
	}
}
