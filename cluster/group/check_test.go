package group

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
)

// TestCompare looks at what the sums of five voters and a learner say.
func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		known map[uint64][]Sum
		want  finding
	}{
		"nobody knows anything": {nil, finding{}},
		"all are the same": {
			map[uint64][]Sum{1: {{10, 1}, {20, 2}}, 2: {{10, 1}, {20, 2}}, 3: {{20, 2}}, 4: {{20, 2}}, 5: {{20, 2}, {30, 3}}, 6: {{20, 2}}},
			finding{agreed: 20, most: Sum{20, 2}},
		},
		"one lags": {
			map[uint64][]Sum{1: {{10, 1}, {20, 2}}, 2: {{10, 1}, {20, 2}}, 3: {{10, 1}, {20, 2}}, 4: {{10, 1}, {20, 2}}, 5: {{10, 1}}},
			finding{agreed: 10, most: Sum{20, 2}},
		},
		"two voters and a learner differ": {
			map[uint64][]Sum{1: {{10, 1}, {20, 9}}, 2: {{10, 1}, {20, 2}}, 3: {{10, 1}, {20, 2}}, 4: {{10, 1}, {20, 2}}, 5: {{10, 1}, {20, 8}}, 6: {{20, 7}}},
			finding{agreed: 10, most: Sum{20, 2}, differ: []uint64{1, 5, 6}},
		},
		"a hash of nothing counts as any other": {
			map[uint64][]Sum{1: {{10, 0}}, 2: {{10, 0}}, 3: {{10, 0}}, 4: {{10, 7}}},
			finding{most: Sum{10, 0}, differ: []uint64{4}},
		},
		"two are not most of five, nor are three that do not agree": {
			map[uint64][]Sum{1: {{10, 1}, {20, 9}}, 2: {{10, 1}, {20, 2}}, 3: {{10, 1}, {20, 2}}, 4: {{10, 1}}, 5: {{10, 1}}},
			finding{agreed: 10, most: Sum{10, 1}, divided: 20},
		},
		"a learner has no vote": {
			map[uint64][]Sum{1: {{20, 2}}, 2: {{20, 2}}, 6: {{20, 2}}},
			finding{},
		},
		"a stranger has none, and is not told": {
			map[uint64][]Sum{1: {{20, 2}}, 2: {{20, 2}}, 7: {{20, 2}}},
			finding{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conf := &raftpb.ConfState{Voters: []uint64{1, 2, 3, 4, 5}, Learners: []uint64{6}}
			if got := compare(conf, test.known); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// entries are some of each form, as they are in logs of all versions since.
var entries = []struct {
	level Level
	hex   string
	entry entry
}{
	{levelBegin, "02d086cff0892e07", entry{form: formTick, now: 791_600_030_120, held: 7}},
	{levelBegin, "030102030405060708090a0b0c0d0e0f10", entry{form: formRegister, origin: Origin{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}},
	{LevelRoster, "047b226e756d626572223a312c226c6576656c223a342c2273697a65223a337d", entry{form: formRoster, roster: &Roster{Number: 1, Level: 4, Size: 3}}},
	{LevelCheck, "05ac028877665544332211", entry{form: formCheck, sum: Sum{300, 0x1122334455667788}}},
}

// TestEntriesStay writes entries as they have always been, and reads them, unless they
// are of a level that is not known.
func TestEntriesStay(t *testing.T) {
	for _, test := range entries {
		want, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		var data []byte
		switch e := &test.entry; e.form {
		case formTick:
			data = appendTick(nil, e.now, e.held)
		case formRegister:
			data = appendRegister(nil, e.origin)
		case formRoster:
			data = appendRoster(nil, e.roster)
		case formCheck:
			data = appendCheck(nil, e.sum)
		}
		if !bytes.Equal(data, want) {
			t.Errorf("form %d is %x, want %x", test.entry.form, data, want)
		}
		if got, err := decodeEntry(want, test.level); err != nil || !reflect.DeepEqual(got, test.entry) {
			t.Errorf("form %d: %+v, want %+v: %v", test.entry.form, got, test.entry, err)
		}
		if _, err := decodeEntry(want, test.level-1); test.level > levelBegin && err == nil {
			t.Errorf("form %d is read by level %d", test.entry.form, test.level-1)
		}
		for cut := 1; cut < len(want); cut++ {
			if _, err := decodeEntry(want[:cut], Latest); err == nil {
				t.Errorf("form %d is read from %d bytes", test.entry.form, cut)
			}
		}
		if _, err := decodeEntry(append(want, 0), Latest); err == nil {
			t.Errorf("form %d is read with a byte more", test.entry.form)
		}
	}
}

// TestDigestStays carries out a log as earlier versions have written it, and one with
// checks. Versions that hash in different ways would take each other to be wrong.
func TestDigestStays(t *testing.T) {
	fs := vfs.NewMem()
	begin := func() (*engine.Store, *machine) {
		e, err := engine.Open(engine.Options{Dir: "data", FS: fs, ExternalLog: true, Logger: slog.New(slog.DiscardHandler), DiskReserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMachine(e, Latest)
		if err != nil {
			t.Fatal(err)
		}
		m.from = func(Origin, Sequence) session.Origin { return nil }
		return e, m
	}
	e, m := begin()
	index := uint64(1)
	apply := func(data []byte) {
		t.Helper()
		index++
		if _, err := m.apply(engine.Position{Index: index, Term: 3}, data); err != nil {
			t.Fatal(err)
		}
	}
	const now = session.Time(1_767_312_000_000)
	apply(appendTick(nil, now, 0))
	apply(appendRegister(nil, Origin{1}))
	for i, expiry := range []session.Time{session.Never, now.Add(3_600_000_000_000), now.Add(400 * 24 * 3_600_000_000_000)} {
		b := &session.Burst{Now: now, Commands: []session.Command{{Op: session.OpSet, Key: []byte{'k', byte(i)}, Value: []byte("value"), Expiry: expiry}}}
		data, err := codec.AppendBurst(appendBurstHeader(nil, Origin{1}, Sequence(i+1), 1), b, codec.Latest)
		if err != nil {
			t.Fatal(err)
		}
		apply(data)
	}
	if latest, _ := m.sums.last(keptSums); latest != nil {
		t.Errorf("a log without checks has %v", latest)
	}
	digest := func() uint64 {
		t.Helper()
		sum, err := m.digest()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if got, want := digest(), uint64(0x33c8babba1f88bf7); got != want {
		t.Errorf("the digest is %#x, want %#x", got, want)
	}
	apply(appendRoster(nil, &Roster{Number: 1, Level: Latest, Size: 3}))
	before := digest()
	e.Stats()
	e.Forecast()
	if after := digest(); after != before {
		t.Errorf("the digest was %#x, and is %#x when somebody has looked", before, after)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, m = begin()
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if after := digest(); after != before {
		t.Errorf("the digest was %#x, and is %#x after a start", before, after)
	}
	apply(appendCheck(nil, Sum{}))
	at := index
	latest, _ := m.sums.last(keptSums)
	apply(appendCheck(nil, latest[0]))
	if _, unlike := m.sums.last(keptSums); unlike != 0 {
		t.Errorf("it differs from itself at %d", unlike)
	}
	apply(appendCheck(nil, Sum{at, latest[0].Digest + 1}))
	latest, unlike := m.sums.last(keptSums)
	if unlike != at || len(latest) != 3 || latest[0].Digest == latest[1].Digest {
		t.Errorf("sums %v, unlike at %d", latest, unlike)
	}
}
