package torture

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/session"
	"cairn/session/sessiontest"
)

// judgeSalvage salvages a damaged store. It must come to an end and change
// nothing, and the new store must be sound. What is in it has the right bytes; of
// a log or manifest that is damaged, where nobody can know what is missing, it may
// have older ones, and then says so. What is not in it is counted. And everything
// is in it that the damaged store itself answers, if that opens.
func judgeSalvage(t *testing.T, disk *vfs.MemFS, path, how string, want map[string][]byte, ever map[string][][]byte, tally map[string]int) {
	t.Helper()
	before := digest(t, disk)
	result, named, problems, err := salvageDisk(t, disk)
	if err != nil {
		t.Errorf("%s: salvage: %v", how, err)
		return
	}
	if digest(t, disk) != before {
		t.Errorf("%s: the salvage changed the damaged store", how)
	}
	log, manifest := strings.HasSuffix(path, ".log"), strings.Contains(path, "MANIFEST")
	missing := 0
	salvaged := scanDisk(t, disk, "new")
	for key, value := range want {
		got, found := salvaged[key]
		stored := func(old []byte) bool { return bytes.Equal(got, old) }
		switch {
		case !found && value != nil:
			missing++
		case !found || bytes.Equal(got, value) && value != nil:
		case !slices.ContainsFunc(ever[key], stored):
			t.Errorf("%s: salvage: %s has bytes that were never stored: %.80q", how, key, got)
		case !log && !manifest:
			t.Errorf("%s: salvage: %s has old bytes %.80q; problems %q", how, key, got, problems)
		default:
			tally["salvaged old"]++
		}
	}
	switch {
	case missing > 0 && !log && result.Complete:
		t.Errorf("%s: salvage: %d sessions are missing and it says nothing: %+v", how, missing, result)
	case missing > 0 && result.Missing >= 0 && result.Missing != int64(missing) && !log && !manifest:
		t.Errorf("%s: salvage: %d sessions are missing, it says %d", how, missing, result.Missing)
	case missing > 0:
		tally["salvaged in part"]++
	default:
		tally["salvaged whole"]++
	}
	for i, key := range named {
		if _, found := salvaged[key]; found || slices.Contains(named[:i], key) {
			t.Errorf("%s: salvage: %s is named as lost, but it is there or was named before", how, key)
		}
	}
	judgeAgainstStore(t, disk, how, salvaged, want)
}

// judgeAgainstStore holds a salvage against what the damaged store answers, where
// that is right: it may open as an older one.
func judgeAgainstStore(t *testing.T, disk *vfs.MemFS, how string, salvaged, want map[string][]byte) {
	t.Helper()
	store, err := openDamaged(disk)
	if err != nil {
		return
	}
	defer closeDamaged(store)
	for i := range 400 {
		key := fmt.Sprintf("key%d", i)
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		session.Do(store, b)
		if r := &b.Results[0]; r.Status == session.OK && bytes.Equal(r.Item.Value, want[key]) && !bytes.Equal(r.Item.Value, salvaged[key]) {
			t.Errorf("%s: salvage: %s is %.60q, the damaged store answers %.60q", how, key, salvaged[key], r.Item.Value)
		}
	}
}

func salvageDisk(t *testing.T, disk *vfs.MemFS) (result engine.Salvaged, named, problems []string, err error) {
	t.Helper()
	o := engine.SalvageOptions{
		From: corruptOptions(disk, sessiontest.NewClock()), To: "new", Scratch: "scratch",
		Problem: func(problem string) { problems = append(problems, problem) },
		Lost:    func(key []byte, why string) { named = append(named, string(key)) },
	}
	result, err = engine.Salvage(t.Context(), o)
	return result, named, problems, err
}

// scanDisk checks the store in a directory and returns what is in it.
func scanDisk(t *testing.T, disk *vfs.MemFS, dir string) map[string][]byte {
	t.Helper()
	o := corruptOptions(disk, sessiontest.NewClock())
	o.Dir = dir
	if err := engine.Check(o, func(problem engine.Problem) { t.Errorf("the salvaged store: %s", problem) }); err != nil {
		t.Error(err)
	}
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	found := make(map[string][]byte)
	err = store.Scan(t.Context(), nil, nil, func(it *session.Item) bool {
		found[string(it.Key)] = bytes.Clone(it.Value)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// digest is a hash of all of the damaged directory.
func digest(t *testing.T, disk *vfs.MemFS) string {
	t.Helper()
	all := sha256.New()
	files := listFiles(t, disk, corruptDir)
	slices.Sort(files)
	for _, path := range files {
		data := readFile(t, disk, path)
		fmt.Fprintf(all, "%s %d\n", path, len(data))
		all.Write(data)
	}
	return string(all.Sum(nil))
}

// TestSalvageOfHealthyStore copies everything, and more versions follow.
func TestSalvageOfHealthyStore(t *testing.T) {
	disk, want, ever := corruptible(t)
	tally := make(map[string]int)
	judgeSalvage(t, cloneDisk(disk), "", "no damage", want, ever, tally)
	result, named, problems, err := salvageDisk(t, cloneDisk(disk))
	if err != nil || !result.Complete || result.Missing > 0 || len(named)+len(problems) > 0 {
		t.Errorf("%+v, %q, %q, %v", result, named, problems, err)
	}
}

// TestSalvageWithoutAFile removes each file of a store in turn.
func TestSalvageWithoutAFile(t *testing.T) {
	disk, want, ever := corruptible(t)
	tally := make(map[string]int)
	for _, path := range listFiles(t, disk, corruptDir) {
		damaged := cloneDisk(disk)
		if err := damaged.Remove(path); err != nil {
			t.Fatal(err)
		}
		judgeSalvage(t, damaged, path, path+" removed", want, ever, tally)
	}
	figures(t, "%v", tally)
}

// TestCheckNamesWhatSalvageLeavesOut compares the two after each table was removed
// or cut: the check names the same sessions, each once.
func TestCheckNamesWhatSalvageLeavesOut(t *testing.T) {
	named := 0
	for tries := 0; named == 0; tries++ {
		if tries == 20 {
			t.Fatal("no session was named")
		}
		named = compareNames(t) // how far flushes have come differs
	}
}

// compareNames returns how many names there were.
func compareNames(t *testing.T) (all int) {
	t.Helper()
	disk, _, _ := corruptible(t)
	for _, path := range listFiles(t, disk, corruptDir) {
		if !strings.HasSuffix(path, ".sst") {
			continue
		}
		damaged := cloneDisk(disk)
		if err := damaged.Remove(path); err != nil {
			t.Fatal(err)
		}
		before := digest(t, damaged)
		var checked []string
		for _, problem := range checkDisk(damaged) {
			if rest, ok := strings.CutPrefix(problem, `session "`); ok {
				key, _, _ := strings.Cut(rest, `"`)
				checked = append(checked, key)
			}
		}
		if digest(t, damaged) != before {
			t.Errorf("%s: the check changed the store", path)
		}
		_, named, _, err := salvageDisk(t, damaged)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(checked)
		slices.Sort(named)
		if !slices.Equal(checked, named) {
			t.Errorf("%s removed: the check names %q, the salvage %q", path, checked, named)
		}
		all += len(named)
	}
	return all
}
