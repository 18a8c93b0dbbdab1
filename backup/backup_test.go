package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// sample makes a directory as a store might have it.
func sample(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for name, size := range map[string]int{"000001.sst": 100_000, "MANIFEST-1": 10, "empty": 0, "sub/deep/file": 1000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func archiveOf(t testing.TB, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, dir, Info{Created: time.Unix(1_800_000_000, 0).UTC(), Version: "1.2.3"}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// contents returns all files below dir.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRoundTrip(t *testing.T) {
	from := sample(t)
	archive := archiveOf(t, from)
	info, err := Verify(bytes.NewReader(archive))
	if err != nil || info.Files != 4 || info.Bytes != 101_010 || info.Version != "1.2.3" || info.Created.Unix() != 1_800_000_000 {
		t.Errorf("%+v, %v", info, err)
	}
	for _, name := range []string{"absent", "empty", "absent/below/absent"} {
		to := filepath.Join(t.TempDir(), name)
		if name == "empty" {
			if err := os.Mkdir(to, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Restore(bytes.NewReader(archive), to, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, got := contents(t, from), contents(t, to)
		for file := range want {
			if got[file] != want[file] {
				t.Errorf("%s: %s differs", name, file)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d files, want %d", name, len(got), len(want))
		}
	}
}

func TestRestoreSparesWhatIsThere(t *testing.T) {
	to := sample(t)
	before := contents(t, to)
	if _, err := Restore(bytes.NewReader(archiveOf(t, sample(t))), to, nil); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("error %v", err)
	}
	if after := contents(t, to); len(after) != len(before) {
		t.Errorf("%d files before, %d after", len(before), len(after))
	}
}

// TestDamageIsFound cuts an archive at many places and flips bits at many
// others: nothing of that may be restored or leave anything behind.
func TestDamageIsFound(t *testing.T) {
	archive := archiveOf(t, sample(t))
	random := rand.New(rand.NewPCG(3, 4))
	parent := t.TempDir()
	try := func(what string, at int, data []byte) {
		t.Helper()
		if _, err := Verify(bytes.NewReader(data)); err == nil {
			t.Errorf("%s at %d of %d was verified", what, at, len(archive))
		}
		if _, err := Restore(bytes.NewReader(data), filepath.Join(parent, "store"), nil); err == nil {
			t.Errorf("%s at %d of %d was restored", what, at, len(archive))
		}
		if left, _ := os.ReadDir(parent); len(left) != 0 {
			t.Fatalf("%s at %d left %v", what, at, left)
		}
	}
	for range 100 {
		at := random.IntN(len(archive))
		try("cut", at, archive[:at])
		flipped := bytes.Clone(archive)
		flipped[at] ^= 1 << random.IntN(8)
		try("flip", at, flipped)
	}
	for cut := 1; cut <= 20; cut++ {
		at := len(archive) - cut
		try("cut", at, archive[:at])
	}
}

// pack makes an archive of raw entries.
func pack(t *testing.T, entries ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	compressed, err := zstd.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(compressed)
	for _, e := range entries {
		kind := byte(tar.TypeReg)
		if e[1] == "link" {
			kind = tar.TypeSymlink
		}
		h := &tar.Header{Name: e[0], Typeflag: kind, Mode: 0o600}
		if kind == tar.TypeReg {
			h.Size = int64(len(e[1]))
		} else {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if kind == tar.TypeReg {
			w.Write([]byte(e[1]))
		}
	}
	w.Close()
	compressed.Close()
	return buf.Bytes()
}

func TestForeignArchivesAreRefused(t *testing.T) {
	const info = `{"format":1}`
	for name, c := range map[string]struct {
		archive []byte
		want    error
	}{
		"empty":           {nil, ErrTruncated},
		"text":            {[]byte("hello, this is no archive at all"), ErrNotArchive},
		"another tar":     {pack(t, [2]string{"README", "hello"}), ErrNotArchive},
		"future format":   {pack(t, [2]string{infoName, `{"format":2}`}), ErrNotArchive},
		"no checksums":    {pack(t, [2]string{infoName, info}, [2]string{"store/a", "a"}), ErrTruncated},
		"wrong checksums": {pack(t, [2]string{infoName, info}, [2]string{"store/a", "a"}, [2]string{sumsName, "00  store/a\n"}), ErrDamaged},
		"climbing path":   {pack(t, [2]string{infoName, info}, [2]string{"store/../../evil", "a"}), ErrDamaged},
		"absolute path":   {pack(t, [2]string{infoName, info}, [2]string{"/etc/evil", "a"}), ErrDamaged},
		"link":            {pack(t, [2]string{infoName, info}, [2]string{"store/a", "link"}), ErrDamaged},
	} {
		if _, err := Verify(bytes.NewReader(c.archive)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestOrdinaryToolsCanCheckIt reads an archive with tar, zstd and sha256sum.
func TestOrdinaryToolsCanCheckIt(t *testing.T) {
	for _, tool := range []string{"tar", "zstd", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "b.tar.zst")
	if err := os.WriteFile(file, archiveOf(t, sample(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "zstd -dc b.tar.zst | tar x && sha256sum --strict -c SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// errorWriter fails after n bytes.
type errorWriter struct{ n int }

func (w *errorWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errors.New("connection lost")
	}
	return len(p), nil
}

func TestWriteReportsErrors(t *testing.T) {
	dir := sample(t)
	for _, n := range []int{0, 10, 50_000} {
		if err := Write(&errorWriter{n}, dir, Info{}); err == nil {
			t.Errorf("no error with a writer that fails after %d bytes", n)
		}
	}
	if err := Write(&errorWriter{1 << 30}, filepath.Join(dir, "absent"), Info{}); err == nil {
		t.Error("no error for a directory that is not there")
	}
}
