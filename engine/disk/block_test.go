package disk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestLargeBlockIsNotSearched damages blocks of several sizes. Pebble, which would try
// out each bit of the largest for minutes, is not to see them.
func TestLargeBlockIsNotSearched(t *testing.T) {
	const path = "000007.sst"
	for _, size := range []int{1, 100, leastChecked / 2, leastChecked, 16 << 10, 100 << 10, 8 << 20} {
		fs := vfs.NewMem()
		writeTable(t, fs, path, size)
		options := new(pebble.Options)
		options.EnsureDefaults()
		if err := VerifyTable(fs, path, options); err != nil {
			t.Fatalf("value of %d bytes: a whole table: %v", size, err)
		}
		table := content(t, fs, path)
		at := bytes.Index(table, []byte("value:")) + size/2
		table[at] ^= 0x10
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(table)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		err = VerifyTable(fs, path, options)
		if !pebble.IsCorruptionError(err) {
			t.Fatalf("value of %d bytes: a damaged table: %v", size, err)
		}
		if ours := strings.Contains(err.Error(), "table "+path); ours != (size >= leastChecked) {
			t.Errorf("value of %d bytes: %v", size, err)
		}
	}
}

// writeTable makes a table of three values, of which the second has its own block if
// it is large. It is random, so that its length is that of the block.
func writeTable(t *testing.T, fs vfs.FS, path string, size int) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{BlockSize: 1 << 10})
	value := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range value {
		value[i] = byte(rng.Uint32())
	}
	err = errors.Join(
		w.Set([]byte("a"), []byte("small")),
		w.Set([]byte("b"), append([]byte("value:"), value...)),
		w.Set([]byte("c"), []byte("small")),
		w.Close())
	if err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
