package engine

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

func readFile(t *testing.T, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func trackedSet(s *Store, key, value, owner string) session.Command {
	c := set(s, key, value, time.Hour)
	c.Mods, c.Owner = session.Tracked, []byte(owner)
	return c
}

// The names of features are in the files of stores: they stay.
func TestFormatLine(t *testing.T) {
	for bits, line := range map[features]string{
		0:               "cairn 1\n",
		extendedRecords: "cairn 2 extended-records:0.1.0\n",
		ownerIndex:      "cairn 2 owner-index:0.1.0\n",
	} {
		if got := bits.String(); got != line {
			t.Errorf("%b is %q, not %q", bits, got, line)
		}
		if got, err := parseFormat(line); got != bits || err != nil {
			t.Errorf("%q is %b, error %v", line, got, err)
		}
	}
	for all := range features(1 << len(featureTable)) {
		if got, err := parseFormat(all.String()); got != all || err != nil {
			t.Errorf("%b became %b, error %v", all, got, err)
		}
	}
	if _, err := parseFormat("cairn 2 extended-records:0.1.0 owners:3.4.5\n"); !errors.Is(err, ErrFormat) ||
		!strings.Contains(err.Error(), `"owners"`) || !strings.Contains(err.Error(), `"3.4.5"`) ||
		strings.Contains(err.Error(), "extended") {
		t.Errorf("error %v", err)
	}
}

// A store is one that the first versions can read until it holds what they
// cannot.
func TestStoreIsUpgradedWhenItMust(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	path := o.FS.PathJoin(o.Dir, formatFile)
	wantLine := func(path, want string) {
		t.Helper()
		if got := readFile(t, o.FS, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	want(t, s, session.Failed, session.Command{Op: session.OpSet, Mods: session.Tracked, Key: []byte("k"), Owner: make([]byte, 65)})
	checkAndClose(t, s)
	s = openStore(t, o)
	wantLine(path, plainFormat)
	if err := s.Checkpoint("before"); err != nil {
		t.Fatal(err)
	}
	want(t, s, session.OK, trackedSet(s, "tracked", "v", ""))
	wantLine(path, extendedRecords.String())
	want(t, s, session.OK, trackedSet(s, "tracked", "v", "me"))
	both := (extendedRecords | ownerIndex).String()
	wantLine(path, both)
	if err := s.Checkpoint("after"); err != nil {
		t.Fatal(err)
	}
	wantLine("before/FORMAT", plainFormat)
	wantLine("after/FORMAT", both)
	checkAndClose(t, s)
	checkStore(t, o)
	s = openStore(t, o)
	if it := want(t, s, session.OK, op(session.OpGet, "tracked")).Item; string(it.Owner) != "me" || it.Born == it.Version {
		t.Errorf("item %+v", it)
	}
	checkAndClose(t, s)

	// As if the file had come from an older copy.
	for _, line := range []string{plainFormat, extendedRecords.String()} {
		writeFile(t, o.FS, path, line)
		var problems []string
		if err := Check(o, func(p Problem) { problems = append(problems, p.String()) }); err != nil || len(problems) != 1 {
			t.Errorf("%s: problems %q, error %v", line, problems, err)
		}
	}
	writeFile(t, o.FS, path, both)
}

// A command fails, and leaves all as it was, if what it needs cannot be noted.
func TestUpgradeFails(t *testing.T) {
	fail := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if fail && strings.HasSuffix(op.Path, formatFile+".new") {
			return errorfs.ErrInjected
		}
		return nil
	}))
	s := openStore(t, testOptions(t, fs, sessiontest.NewClock()))
	fail = true
	want(t, s, session.OK, set(s, "k", "before", time.Hour))
	if r := want(t, s, session.Failed, trackedSet(s, "k", "after", "")); !errors.Is(r.Err, errorfs.ErrInjected) {
		t.Errorf("error %v", r.Err)
	}
	wantValue(t, s, "k", "before")
	fail = false
	want(t, s, session.OK, trackedSet(s, "k", "after", ""))
	wantValue(t, s, "k", "after")
}
