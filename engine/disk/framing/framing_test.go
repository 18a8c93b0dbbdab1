package framing_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/prometheus/client_golang/prometheus"

	"cairn/engine/disk/framing"
)

// manifest writes records as Pebble writes its manifest.
func manifest(t testing.TB, records [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w := record.NewWriter(&file)
	for _, r := range records {
		if _, err := w.WriteRecord(r); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func someRecords(rng *rand.Rand) (records [][]byte) {
	for i := range 40 {
		r := make([]byte, 1+rng.IntN([]int{10, 500, 50_000}[i%3]))
		for j := range r {
			r[j] = byte(rng.Uint32())
		}
		records = append(records, r)
	}
	return records
}

func TestWholeManifest(t *testing.T) {
	file := manifest(t, someRecords(rand.New(rand.NewPCG(1, 1))))
	if err := framing.Manifest(bytes.NewReader(file)); err != nil {
		t.Error(err)
	}
}

// TestTornManifest tears the last record: every cut is what a crash leaves.
func TestTornManifest(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	records := someRecords(rng)
	whole, before := manifest(t, records), manifest(t, records[:len(records)-1])
	for range 100 {
		torn := bytes.Clone(whole[:len(before)+rng.IntN(len(whole)-len(before))])
		if rng.IntN(2) == 0 { // blocks of the disk that did not make it
			for i := len(before) + rng.IntN(len(torn)-len(before)+1); i < len(torn); i++ {
				torn[i] = 0
			}
		}
		if err := framing.Manifest(bytes.NewReader(torn)); err != nil {
			t.Fatalf("torn at %d of %d: %v", len(torn), len(whole), err)
		}
	}
}

// TestDamagedManifest damages records before the last: each must be noticed.
func TestDamagedManifest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	records := someRecords(rng)
	whole, before := manifest(t, records), len(manifest(t, records[:len(records)-1]))
	for range 100 {
		damaged := bytes.Clone(whole)
		at := rng.IntN(before)
		damaged[at] ^= 1 << rng.IntN(8)
		err := framing.Manifest(bytes.NewReader(damaged))
		if !errors.Is(err, framing.ErrDamaged) && !inPadding(whole, at) {
			t.Fatalf("damage at %d of %d: %v", at, len(whole), err)
		}
	}
}

// inPadding reports whether a byte is one of the zeros at the end of a block.
func inPadding(file []byte, at int) bool {
	end := min(len(file), (at/(32<<10)+1)*(32<<10))
	return end-at < 7 && len(bytes.Trim(file[at:end], "\x00")) == 0
}

// memLog is a log in memory.
type memLog struct{ bytes.Buffer }

func (*memLog) Sync() error  { return nil }
func (*memLog) Close() error { return nil }

const logNumber, olderNumber = 7, 6

// log writes records as Pebble writes its log, each synced before the next. An
// orderly end is left out.
func log(t testing.TB, number int, records [][]byte) []byte {
	t.Helper()
	file, end := writeLog(t, number, records)
	return file[:end]
}

// closedLog is like log, with an orderly end.
func closedLog(t testing.TB, number int, records [][]byte) []byte {
	t.Helper()
	file, _ := writeLog(t, number, records)
	return file
}

func writeLog(t testing.TB, number int, records [][]byte) (whole []byte, end int) {
	t.Helper()
	var file memLog
	config := record.LogWriterConfig{
		WriteWALSyncOffsets: func() bool { return true },
		WALFsyncLatency:     prometheus.NewHistogram(prometheus.HistogramOpts{}), // without it, Pebble does not track what is durable
	}
	w := record.NewLogWriter(&file, logNumber, config)
	if number == olderNumber {
		w = record.NewLogWriter(&file, olderNumber, config)
	}
	for _, r := range records {
		var synced sync.WaitGroup
		var err error
		synced.Add(1)
		if _, e := w.SyncRecord(r, &synced, &err); e != nil {
			t.Fatal(e)
		}
		if synced.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	end = file.Len()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), end
}

func TestTornLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	records := someRecords(rng)
	whole, before := log(t, logNumber, records), log(t, logNumber, records[:len(records)-1])
	for range 100 {
		torn := whole[:len(before)+rng.IntN(len(whole)-len(before))]
		if err := framing.Log(bytes.NewReader(torn), logNumber); err != nil {
			t.Fatalf("torn at %d of %d: %v", len(torn), len(whole), err)
		}
	}
}

// TestRecycledLog reads a log whose file held an older log before.
func TestRecycledLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	file := log(t, olderNumber, someRecords(rng))
	copy(file, log(t, logNumber, someRecords(rng)[:5]))
	if err := framing.Log(bytes.NewReader(file), logNumber); err != nil {
		t.Error(err)
	}
}

// TestLogEndsInSpare writes logs whose ends lie at every place around the end of
// a block, over files of zeros and over older logs. Pebble and this package find
// all records, and an end: an orderly one, or that of a crash.
func TestLogEndsInSpare(t *testing.T) {
	const blockSize = 32 << 10
	zeros := make([]byte, 4*blockSize)
	older := log(t, olderNumber, someRecords(rand.New(rand.NewPCG(7, 1))))
	for size := blockSize - 60; size < blockSize+10; size++ {
		records := [][]byte{bytes.Repeat([]byte{1}, size/2), bytes.Repeat([]byte{2}, size-size/2)}
		for _, c := range []struct {
			file []byte
			end  error
		}{{log(t, logNumber, records), record.ErrUnexpectedEOF}, {closedLog(t, logNumber, records), io.EOF}} {
			for _, spare := range [][]byte{zeros, older} {
				file := bytes.Clone(spare)
				copy(file, c.file)
				if err := framing.Log(bytes.NewReader(file), logNumber); err != nil {
					t.Errorf("end at %d: %v", len(c.file), err)
				}
				r := record.NewReader(bytes.NewReader(file), logNumber)
				for i := range records {
					next, err := r.Next()
					if err != nil {
						t.Fatalf("end at %d: record %d: %v", len(c.file), i, err)
					}
					if got, err := io.ReadAll(next); err != nil || !bytes.Equal(got, records[i]) {
						t.Errorf("end at %d: record %d of %d bytes: %v", len(c.file), i, len(got), err)
					}
				}
				if _, err := r.Next(); !errors.Is(err, c.end) {
					t.Errorf("end at %d: %v, want %v", len(c.file), err, c.end)
				}
			}
		}
	}
}

// TestDamagedLog damages what the log itself says was durable. It says so
// late: Pebble does not count the blocks that filled up between two syncs.
func TestDamagedLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	whole := log(t, logNumber, someRecords(rng))
	for range 100 {
		damaged := bytes.Clone(whole)
		at := rng.IntN(len(whole) / 3)
		damaged[at] ^= 1 << rng.IntN(8)
		if err := framing.Log(bytes.NewReader(damaged), logNumber); !errors.Is(err, framing.ErrDamaged) {
			t.Fatalf("damage at %d of %d: %v", at, len(whole), err)
		}
	}
}

func FuzzFraming(f *testing.F) {
	f.Add(manifest(f, [][]byte{[]byte("a"), []byte("bc")}))
	f.Fuzz(func(t *testing.T, file []byte) {
		framing.Log(bytes.NewReader(file), 7)
		framing.Manifest(bytes.NewReader(file))
	})
}
