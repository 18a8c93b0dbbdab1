package codec

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"cairn/session"
)

var update = flag.Bool("update", false, "write the files of testdata anew: only before their level was released")

// goldenBurst has every op, every modifier and every field of level 1, and the
// errors of the given level.
func goldenBurst(level Level) *session.Burst {
	known := errorCodes[:levels[level-1].errors]
	b := new(session.Burst)
	b.Reset(1_700_000_000_123)
	b.MaxValue, b.Full = 8<<20, true
	for op := session.OpGet; op <= session.OpFlush; op++ {
		*b.Add() = session.Command{Op: op, Mods: 1 << (op - 1) & (2*session.NoClaim - 1), Key: fmt.Appendf(nil, "key%d", op)}
	}
	*b.Add() = session.Command{Op: session.OpAdopt, Value: []byte("dictionary")}
	*b.Add() = session.Command{
		Op: session.OpSet, Mods: 2*session.NoClaim - 1, Key: []byte("all\x00\xff"), Value: []byte("value"), Flags: 1<<32 - 1,
		Expiry: b.Now.Add(1440e9), CAS: 300, NewVersion: 1 << 63, Delta: 1, Initial: 127, VivifyExpiry: session.Never,
		RecacheBefore: b.Now - 1, FlushAt: 1,
	}
	for range len(errorCodes) {
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte("more")} // room for results
	}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte("framed"), Value: []byte("left out")}
	b.SizeFrames(len(b.Commands))
	b.Frames[len(b.Commands)-1] = session.Frame{Codec: 3, Dictionary: 200, RawLen: 8, Data: []byte("frame")}
	b.SizeResults()
	for i := range b.Results {
		b.Results[i] = goldenResult(i, b.Commands[i].Key, known)
	}
	return b
}

// goldenResult is number i of results that have every status, every error and
// every field.
func goldenResult(i int, key []byte, known []error) session.Result {
	if i < int(session.Failed)-1 {
		return session.Result{Status: session.Status(i + 1)}
	}
	i -= int(session.Failed) - 1
	if i < len(known) {
		return session.Result{Status: session.Failed, Err: known[i]}
	}
	switch i - len(known) {
	case 0:
		return session.Result{Status: session.Failed, Err: errors.New("text")}
	case 1:
		return session.Result{Status: session.Failed, Err: fmt.Errorf("%w: more", session.ErrCorrupt)}
	}
	return session.Result{Status: session.OK, Number: 42, Won: true, Created: true, Item: session.Item{
		Key: key, Value: []byte("value"), Flags: 7, Version: 1 << 40, Born: 1 << 40, Expiry: session.Never,
		Stale: true, Claimed: true, Fetched: true, LastAccess: 1_700_000_000_000,
	}}
}

// TestGolden keeps the form from drifting: logs hold it, and other versions
// read it. A change needs a new level and a new file.
func TestGolden(t *testing.T) {
	for level := Level(1); level <= Latest; level++ {
		testGolden(t, level)
	}
}

func testGolden(t *testing.T, level Level) {
	path := fmt.Sprintf("testdata/level%d.txt", level)
	b := goldenBurst(level)
	if level >= 2 {
		c, r := &b.Commands[len(b.Commands)-1], &b.Results[len(b.Results)-1]
		c.Mods, c.Created, c.Owner, c.Limit = session.Tracked|session.IfBorn, b.Now-1000, []byte("owner"), 3_600_000
		c.Born = 1 << 40
		b.Results[0].Status = session.Fenced
		r.Item.Born, r.Item.Created, r.Item.Owner = r.Item.Version-1, b.Now-1000, []byte("owner")
	}
	burst, err := AppendBurst(nil, b, level)
	if err != nil {
		t.Fatal(err)
	}
	results, err := AppendResults(nil, b, level)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, fmt.Appendf(nil, "%x\n%x\n", burst, results), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(text))
	if len(want) != 2 || hex.EncodeToString(burst) != want[0] || hex.EncodeToString(results) != want[1] {
		t.Fatalf("level %d is not what it was:\n%x\n%x\nwas\n%s", level, burst, results, text)
	}
	var got session.Burst
	if _, err := DecodeBurst(burst, &got); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeResults(results, &got); err != nil {
		t.Fatal(err)
	}
	for i := range b.Results {
		compareResults(t, &got.Results[i], &b.Results[i])
	}
}
