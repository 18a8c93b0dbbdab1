package admincli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/engine"
	"cairn/session"
)

// TestSalvage salvages a store of which the largest file is damaged.
func TestSalvage(t *testing.T) {
	r := newRig(t)
	for i := range 500 {
		r.put(fmt.Sprintf("s%03d", i), fmt.Sprint(i, strings.Repeat("value", i)), 3600)
	}
	damaged, whole := filepath.Join(r.dir, "damaged"), filepath.Join(r.dir, "whole")
	for _, dir := range []string{damaged, whole} {
		if err := r.store.Checkpoint(dir); err != nil {
			t.Fatal(err)
		}
	}
	store, err := engine.Open(engine.Options{Dir: damaged, DiskReserve: -1, SpareLogs: -1}) // makes tables of the log
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(damaged, "*.log"))
	for _, log := range logs {
		if content := r.content(log); len(content) > 100_000 {
			t.Fatalf("%s has %d bytes: not all is in tables", log, len(content))
		}
	}
	r.damage(damaged)
	if out := r.must("salvage", whole, filepath.Join(r.dir, "copy")); !strings.Contains(out, "500 sessions") {
		t.Errorf("of a store without damage: %s", out)
	}
	r.refuse("inside of", "salvage", damaged, filepath.Join(damaged, "new"))
	r.refuse("not empty", "salvage", damaged, whole)
	r.refuse("no store", "salvage", t.TempDir(), filepath.Join(r.dir, "none"))
	target := filepath.Join(r.dir, "new")
	out, _, err := r.run("salvage", damaged, target, "-o", "json")
	if err == nil || !strings.Contains(err.Error(), "left out") {
		t.Errorf("the error is %v", err)
	}
	got := decodeJSON[struct {
		Sessions int
		Complete bool
		Problems []string
	}](t, out)
	if got.Sessions == 0 || got.Sessions == 500 || got.Complete || len(got.Problems) == 0 {
		t.Errorf("%+v", got)
	}
	if left, err := filepath.Glob(filepath.Join(target, "restoring*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	store, err = engine.Open(engine.Options{Dir: target, DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	n := 0
	if err := store.Scan(t.Context(), nil, nil, func(it *session.Item) bool {
		n++
		var i int
		_, _ = fmt.Sscanf(string(it.Key), "s%03d", &i)
		if string(it.Value) != fmt.Sprint(i, strings.Repeat("value", i)) || it.Flags != 9 {
			t.Errorf("%s has flags %d and %.20q", it.Key, it.Flags, it.Value)
		}
		return true
	}); err != nil || n != got.Sessions {
		t.Errorf("%d sessions, %v", n, err)
	}
	r.refuse("problems", "check", "--data-dir", damaged)
	if _, err := os.Stat(filepath.Join(r.dir, "none")); !os.IsNotExist(err) {
		t.Errorf("a salvage of nothing left something: %v", err)
	}
}

// TestCheckNamesSessions damages the table of sessions to which a newer file has small
// changes: these sessions are a list, each once, with what is wrong and the damaged
// file, and the text says the same.
func TestCheckNamesSessions(t *testing.T) {
	r := newRig(t)
	whole, damaged := filepath.Join(r.dir, "whole"), filepath.Join(r.dir, "damaged")
	random := rand.New(rand.NewPCG(1, 2)) // for values that do not become small
	var values []string
	for i := range 50 {
		values = append(values, fmt.Sprint(random.Perm(500)))
		r.put(fmt.Sprintf("s%03d\xff"[:5+i%2], i), values[i], 7200)
	}
	if err := r.store.Checkpoint(whole); err != nil {
		t.Fatal(err)
	}
	store, err := engine.Open(engine.Options{Dir: whole, DiskReserve: -1, SpareLogs: -1}) // makes tables of the log
	if err != nil {
		t.Fatal(err)
	}
	for i := range values { // which takes small records
		var b session.Burst
		b.Reset(store.Now())
		*b.Add() = session.Command{Op: session.OpTouch, Key: fmt.Appendf(nil, "s%03d\xff"[:5+i%2], i), Expiry: b.Now + 3_600_000}
		if session.Do(store, &b); b.Results[0].Status != session.OK {
			t.Fatalf("touch %d: status %d", i, b.Results[0].Status)
		}
	}
	if err := errors.Join(store.Checkpoint(damaged), store.Close()); err != nil {
		t.Fatal(err)
	}
	tables, _ := filepath.Glob(filepath.Join(damaged, "*.sst"))
	var victim string // that has values
	var data []byte
	for _, table := range tables {
		if found, err := os.ReadFile(table); err != nil {
			t.Fatal(err)
		} else if len(found) > 20_000 {
			victim, data = table, found
		}
	}
	if len(data) == 0 {
		t.Fatalf("no table has values: %q", tables)
	}
	data[len(data)/4] ^= 1
	if err := os.WriteFile(victim, data, 0o600); err != nil {
		t.Fatal(err)
	}
	text, _, err := r.run("check", "--data-dir", damaged)
	if err == nil {
		t.Error("the check found nothing")
	}
	out, _, err := r.run("check", "--data-dir", damaged, "-o", "json")
	if err == nil {
		t.Error("the check found nothing as JSON")
	}
	got := decodeJSON[checkResult](t, out)
	if len(got.AtRisk) == 0 || len(got.AtRisk) != got.AtRiskCount || got.Dir != damaged || strings.Join(got.Problems, "\n")+"\n" != text {
		t.Fatalf("%s\n%s", out, text)
	}
	seen := make(map[string]bool)
	for _, s := range got.AtRisk {
		if seen[s.name()] || !strings.Contains(text, fmt.Sprintf("session %s is at risk: %s", s.name(), s.Why)) {
			t.Errorf("%+v is not in the text once", s)
		}
		seen[s.name()] = true
		if s.File != filepath.Base(victim) || s.Why == "" {
			t.Errorf("%+v is at risk because of %s", s, victim)
		}
	}
}

// What has more problems than are kept is counted all the same.
func TestCheckBounds(t *testing.T) {
	var c checkResult
	for i := range maxProblems + 5 {
		c.add(CheckProblem{Text: "p", Key: fmt.Append(nil, i), Why: "w"})
	}
	c.add(CheckProblem{Text: "9 more", Lost: 9})
	if len(c.Problems) != maxProblems || len(c.AtRisk) != maxProblems || c.AtRiskCount != maxProblems+5 || c.count != maxProblems+6 || c.LostUnnamed != 9 {
		t.Errorf("%d, %d, %d, %d, %d", len(c.Problems), len(c.AtRisk), c.AtRiskCount, c.count, c.LostUnnamed)
	}
}
