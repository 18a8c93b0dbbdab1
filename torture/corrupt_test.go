package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/engine/disk/framing"
	"cairn/session"
	"cairn/session/sessiontest"
)

// TestCorruption damages files of a stopped store, one at a time: flipped bits,
// bytes of noise, zeroed blocks, cut ends. A damaged store opens or refuses to;
// if it opens, no session has wrong bytes; and whatever the damage did to any
// session, engine.Check tells of it. One damaged store in salvageOdds is salvaged.
//
// Each round damages every file once. From round to round the ways to do it take
// turns, and so do the files that are salvaged: all pairs of a file and a way have
// been salvaged after kindsOfDamage*salvageOdds rounds.
func TestCorruption(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	disk, want, ever := corruptible(t)
	files := listFiles(t, disk, corruptDir)
	sizes := make(map[string]int)
	for _, path := range files {
		sizes[path] = len(readFile(t, disk, path))
	}
	var mu sync.Mutex // guards total
	total := make(map[string]int)
	t.Cleanup(func() { figures(t, "%v in %d files", total, len(files)) }) // after all rounds
	first := rng.IntN(salvageOdds)
	for round := range rounds(2, 400) {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 4))
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			tally := make(map[string]int)
			for i, path := range files {
				damaged := cloneDisk(disk)
				how, at, changed := damage(t, damaged, path, (round+i)%kindsOfDamage, rng)
				if !changed {
					continue
				}
				tally["damages"]++
				// A log that ends early is what a crash leaves behind, and Pebble
				// does not know for sure of the last blocks that they were synced.
				cut := strings.HasPrefix(how, "cut")
				torn := strings.HasSuffix(path, ".log") && (cut || at >= sizes[path]-64<<10)
				// So is a manifest that ends early, but counts tell.
				short := strings.Contains(path, "MANIFEST") && framing.Manifest(bytes.NewReader(readFile(t, damaged, path))) == nil
				if (first+i+round/kindsOfDamage)%salvageOdds == 0 {
					judgeSalvage(t, cloneDisk(damaged), path, path+" "+how, want, ever, tally)
				}
				judgeDamage(t, damaged, path+" "+how, allowance{torn, short}, want, ever, tally)
			}
			mu.Lock()
			defer mu.Unlock()
			for what, n := range tally {
				total[what] += n
			}
		})
	}
}

// salvageOdds is how many damages of TestCorruption there are for each that is
// salvaged, which takes as long as all else that is done with it.
const salvageOdds = 4

const corruptDir = "data"

func corruptOptions(fs vfs.FS, clock *sessiontest.Clock) engine.Options {
	return engine.Options{
		Dir: corruptDir, FS: fs, Wall: clock.Wall, DropEvery: -1, HotBytes: -1,
		MemtableBytes: 256 << 10, MaxValueSize: 1 << 20, BlockCacheBytes: 1 << 20,
		Compression: engine.CompressionOff, // or all of it stays in the first log
		Logger:      slog.New(slog.DiscardHandler),
		Fatal:       func(err error) { panic(fatal{err}) },
	}
}

// fatal is what the store's Fatal panics with.
type fatal struct{ error }

// corruptible makes a disk whose store was killed with tables, a log and
// several buckets, and tells what each key holds, nil if it was deleted, and what
// each ever held.
func corruptible(t *testing.T) (disk *vfs.MemFS, want map[string][]byte, ever map[string][][]byte) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	store, err := engine.Open(corruptOptions(mem, sessiontest.NewClock()))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	want, ever = make(map[string][]byte), make(map[string][][]byte)
	for i := range 700 {
		key := fmt.Sprintf("key%d", rng.IntN(400))
		value := fmt.Appendf(nil, "%s generation %d %x", key, i, make([]byte, rng.IntN(1500)))
		ttl := pick(rng, 20*time.Minute, 2*time.Hour, 3*24*time.Hour)
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpSet, Key: []byte(key), Value: value, Expiry: store.Now().Add(ttl)}
		want[key], ever[key] = value, append(ever[key], value)
		if rng.IntN(8) == 0 {
			*b.Add() = session.Command{Op: session.OpDelete, Key: []byte(key)}
			want[key] = nil
		}
		session.Do(store, b)
	}
	disk = mem.CrashClone(vfs.CrashCloneCfg{}) // killed, not stopped: the log counts
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, want, ever
}

// cloneDisk copies a disk of which everything is synced.
func cloneDisk(disk *vfs.MemFS) *vfs.MemFS { return disk.CrashClone(vfs.CrashCloneCfg{}) }

func listFiles(t *testing.T, fs vfs.FS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if info, err := fs.Stat(path); err == nil && !info.IsDir() {
			files = append(files, path)
		}
	}
	return files
}

// kindsOfDamage is how many kinds damage knows. Half of them flip a bit, which is
// the hardest to see.
const kindsOfDamage = 6

// damage harms a file in one of the kinds of damage, and tells how, where, and
// whether its bytes are others now.
func damage(t *testing.T, fs *vfs.MemFS, path string, kind int, rng *rand.Rand) (how string, at int, changed bool) {
	t.Helper()
	old := readFile(t, fs, path)
	if len(old) == 0 {
		return "", 0, false
	}
	data := bytes.Clone(old)
	at = rng.IntN(len(data))
	switch kind {
	case 0:
		how, data = fmt.Sprintf("cut at %d of %d", at, len(data)), data[:at]
	case 1:
		n := min(1+rng.IntN(4096), len(data)-at)
		how = fmt.Sprintf("zeroed %d bytes at %d of %d", n, at, len(data))
		clear(data[at : at+n])
	case 2:
		n := min(1+rng.IntN(64), len(data)-at)
		how = fmt.Sprintf("%d bytes of noise at %d of %d", n, at, len(data))
		for i := range n {
			data[at+i] = byte(rng.Uint32())
		}
	default:
		bit := rng.IntN(8)
		how = fmt.Sprintf("bit %d of byte %d of %d flipped", bit, at, len(data))
		data[at] ^= 1 << bit
	}
	if err := errors.Join(writeFile(fs, path, data), syncDirs(fs, corruptDir)); err != nil {
		t.Fatal(err)
	}
	return how, at, !bytes.Equal(old, data)
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// allowance says what a damage looks like a crash: nobody can tell that the
// last records of a log are missing, and of the manifest only the check can,
// by counting.
type allowance struct{ torn, short bool }

// judgeDamage checks a damaged store and opens it.
func judgeDamage(t *testing.T, disk *vfs.MemFS, how string, may allowance, want map[string][]byte, ever map[string][][]byte, tally map[string]int) {
	t.Helper()
	problems := checkDisk(cloneDisk(disk))
	found := len(problems) > 0
	if found {
		tally["found by check"]++
	}
	store, err := openDamaged(disk)
	if err != nil {
		tally["refused to open"]++
		if !found {
			t.Errorf("%s: open: %v; the check found nothing", how, err)
		}
		if !namesFile(err) {
			t.Errorf("%s: the refusal names no file: %v", how, err)
		}
		return
	}
	defer closeDamaged(store)
	lost, failed := 0, 0
	for key, value := range want {
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		session.Do(store, b)
		switch r := &b.Results[0]; {
		case r.Status == session.Failed:
			failed++
		case r.Status == session.NotFound && value == nil:
		case r.Status == session.NotFound:
			lost++
		case r.Status == session.OK && !bytes.Equal(r.Item.Value, value): // the latest set or delete is
			stored := func(old []byte) bool { return bytes.Equal(r.Item.Value, old) }
			if !slices.ContainsFunc(ever[key], stored) {
				t.Errorf("%s: %s has bytes that were never stored: %.80q", how, key, r.Item.Value)
			}
			lost++
		}
	}
	if lost+failed > 0 {
		tally["touched sessions"]++
		if !found && !may.torn {
			t.Errorf("%s: %d sessions lost, %d failed; the check found nothing", how, lost, failed)
		}
	}
	switch {
	case lost > 0 && may.short:
		tally["opened without the torn end of the manifest"]++
	case lost > 0 && may.torn:
		tally["opened without the torn end of the log"]++
	case lost > 0:
		t.Errorf("%s: opened without %d of %d sessions; the check: %.200q", how, lost, len(want), problems)
	}
}

func checkDisk(disk *vfs.MemFS) (problems []string) {
	defer func() {
		if p := recover(); p != nil {
			problems = append(problems, fmt.Sprint(p))
		}
	}()
	err := engine.Check(corruptOptions(disk, sessiontest.NewClock()), func(problem engine.Problem) { problems = append(problems, problem.String()) })
	if err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

func openDamaged(disk *vfs.MemFS) (store *engine.Store, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fatal:
			err = p
		default:
			panic(p)
		}
	}()
	return engine.Open(corruptOptions(disk, sessiontest.NewClock()))
}

// closeDamaged closes a store that may find its damage only then.
func closeDamaged(store *engine.Store) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(fatal); !ok {
				panic(p)
			}
		}
	}()
	store.Close()
}

// namesFile reports whether a refusal tells the operator which file is meant.
func namesFile(err error) bool {
	for _, name := range []string{".log", ".sst", ".blob", "MANIFEST", "OPTIONS", "CURRENT", "marker", "FORMAT", "format"} {
		if strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}

// TestCheckFindsNothingInHealthyStores guards the test above: a check that
// always complains would pass it.
func TestCheckFindsNothingInHealthyStores(t *testing.T) {
	disk, want, ever := corruptible(t)
	if problems := checkDisk(cloneDisk(disk)); len(problems) > 0 {
		t.Errorf("the check found %q", problems)
	}
	tally := make(map[string]int)
	judgeDamage(t, disk, "no damage", allowance{}, want, ever, tally)
	if len(tally) > 0 {
		t.Errorf("%v", tally)
	}
}
