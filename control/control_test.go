package control

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/owners"
	"cairn/policy"
	"cairn/session"
	"cairn/session/memory"
)

// client is where bursts of a memcached client come from, operator another place.
type client struct{ front string }

func (c *client) Front() string { return c.front }
func (c *client) ID() uint64    { return 1 }
func (c *client) User() string  { return "" }

type store struct{ *memory.Store }

func (s store) Scan(context.Context, []byte, []byte, func(*session.Item) bool) error { return nil }

type rig struct {
	t *testing.T
	*Store
	memory *memory.Store
	from   session.Origin
}

func newRig(t *testing.T) *rig {
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, []byte(`rules: [{name: app, prefix: ["app:", "*cache:"], owner: "json: uid"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Open(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	m := memory.New(0)
	directory := owners.New(owners.Options{Store: store{m}, Rules: rules, Dir: dir})
	r := &rig{t: t, memory: m, from: &client{session.Memcached}, Store: New(Options{Next: m, Prefix: "cairn:", Rules: rules, Owners: directory})}
	for _, s := range []string{"app:1 ann", "app:2 ann", "app:3 bob", "x:cache:4 ann", "\xff 10"} {
		key, owner, _ := strings.Cut(s, " ")
		r.do(session.Command{Op: session.OpSet, Mods: session.Tracked, Key: []byte(key), Value: []byte("v"), Owner: []byte(owner), Expiry: 2e12})
	}
	return r
}

func (r *rig) do(commands ...session.Command) []session.Result {
	b := &session.Burst{Now: 1e12, Origin: r.from, Commands: commands}
	session.Do(r.Store, b)
	return b.Results
}

func (r *rig) keys() string {
	var all []string
	for _, it := range r.memory.Items(1e12) {
		all = append(all, string(it.Key))
	}
	return strings.Join(all, " ")
}

func command(op session.Op, key string) session.Command {
	return session.Command{Op: op, Key: []byte(key), Value: []byte("v"), Expiry: 2e12}
}

func (r *rig) want(status session.Status, c session.Command, left string) session.Result {
	r.t.Helper()
	result := r.do(c)[0]
	if result.Status != status {
		r.t.Errorf("%s: status %d (%v), want %d", c.Key, result.Status, result.Err, status)
	}
	if keys := r.keys(); keys != left {
		r.t.Errorf("%s: left %q, want %q", c.Key, keys, left)
	}
	return result
}

const all = "app:1 app:2 app:3 x:cache:4 \xff"

func TestList(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"cairn:owner:ann", "app:cairn:owner:ann", "some:cache:cairn:owner:ann"} {
		it := r.want(session.OK, command(session.OpGet, key), all).Item
		var a answer
		if err := json.Unmarshal(it.Value, &a); err != nil || a.Owner != "ann" || len(a.Sessions) != 3 || a.Sessions[0].Key != "app:1" ||
			!a.Sessions[0].CreatedAt.Equal(time.UnixMilli(1e12)) || string(it.Key) != key || it.Version == 0 {
			t.Errorf("%s: %s (%v)", key, it.Value, err)
		}
	}
	if it := r.want(session.OK, command(session.OpGet, "cairn:owner:10"), all).Item; !strings.Contains(string(it.Value), `"key_base64":"_w"`) {
		t.Errorf("%s", it.Value)
	}
	for _, key := range []string{"cairn:owner:nobody", "cairn:owner:", "cairn:others:app:1", "other:cairn:owner:ann", "cairn:owner", "cairn:"} {
		r.want(session.NotFound, command(session.OpGet, key), all)
	}
}

func TestEnd(t *testing.T) {
	r := newRig(t)
	r.want(session.NotFound, command(session.OpDelete, "cairn:owner:nobody"), all)
	r.want(session.NotFound, command(session.OpDelete, "cairn:others:app:3"), all) // there are none
	r.want(session.NotFound, command(session.OpDelete, "cairn:others:app:7"), all)
	r.want(session.NotFound, command(session.OpDelete, "cairn:others:"), all)
	r.want(session.NotFound, command(session.OpDelete, "cairn:owner:"), all)
	r.want(session.OK, command(session.OpDelete, "app:cairn:others:2"), "app:2 app:3 \xff") // without its namespace
	r.want(session.OK, command(session.OpDelete, "cairn:owner:bob"), "app:2 \xff")
	r.want(session.OK, command(session.OpDelete, "app:cairn:owner:ann"), "\xff")
}

// A control key cannot be stored, and other commands of a burst go on in order.
func TestBurst(t *testing.T) {
	r := newRig(t)
	for _, op := range []session.Op{session.OpSet, session.OpAdd, session.OpReplace, session.OpAppend} {
		r.want(session.NotStored, command(op, "cairn:owner:ann"), all)
	}
	for _, op := range []session.Op{session.OpTouch, session.OpIncr} {
		r.want(session.NotFound, command(op, "cairn:owner:ann"), all)
	}
	results := r.do(command(session.OpGet, "app:1"), command(session.OpDelete, "cairn:owner:ann"), command(session.OpGet, "app:1"),
		command(session.OpGet, "app:3"), command(session.OpGet, "cairn:owner:ann"))
	for i, want := range []session.Status{session.OK, session.OK, session.NotFound, session.OK, session.NotFound} {
		if results[i].Status != want {
			t.Errorf("command %d: status %d, want %d", i, results[i].Status, want)
		}
	}
}

// Operators' commands are about sessions only, whatever their keys are.
func TestOthersThanClients(t *testing.T) {
	r := newRig(t)
	r.from = &client{"http"}
	r.want(session.NotFound, command(session.OpDelete, "cairn:owner:ann"), all)
	r.want(session.OK, command(session.OpSet, "cairn:owner:ann"), "app:1 app:2 app:3 cairn:owner:ann x:cache:4 \xff")
}
