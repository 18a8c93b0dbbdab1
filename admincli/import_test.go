package admincli

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestImportCompressed recognizes what a file is by its first bytes.
func TestImportCompressed(t *testing.T) {
	line := `{"key":"k","value":"v","ttl_seconds":60}` + "\n"
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write([]byte(line))
	w.Close()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	for name, content := range map[string][]byte{
		"plain": []byte(line), "a.gz": zipped.Bytes(), "a.zst": encoder.EncodeAll([]byte(line), nil),
	} {
		file := filepath.Join(r.dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if out := r.must("import", file); !strings.Contains(out, "stored  1") {
			t.Errorf("%s: %s", name, out)
		}
		r.stdin = string(content)
		if out := r.must("import"); !strings.Contains(out, "stored  1") {
			t.Errorf("%s from standard input: %s", name, out)
		}
	}
	r.stdin = zipped.String()[:zipped.Len()-4]
	r.refuse("-: unexpected EOF", "import")
}

// TestImportNamesWhatItLeavesOut stores the rest, and says so with its exit
// code.
func TestImportNamesWhatItLeavesOut(t *testing.T) {
	r := newRig(t)
	large := strings.Repeat("x", 9<<20)
	r.stdin = `{"key":"a","value":"v","ttl_seconds":60}` + "\n" +
		`{"key":"b","value":"` + large + `","ttl_seconds":60}` + "\n" +
		`{"key":"c","value":"v","ttl_seconds":60}` + "\n"
	out, errs, err := r.run("import")
	if err == nil || !strings.Contains(out, "stored     2") || !strings.Contains(errs, "left out: line 2") {
		t.Errorf("%v, %s, %s", err, out, errs)
	}
	r.stdin = "a\t0\taGk=\nodd\nb\t1\taGk=\n"
	out, errs, err = r.run("import", "--format", "tsv")
	if err == nil || !strings.Contains(out, "stored          1") || !strings.Contains(out, "gone meanwhile  1") ||
		!strings.Contains(errs, `left out: "line 2": it has 1 columns`) {
		t.Errorf("%v, %s, %s", err, out, errs)
	}
	if shown := r.must("show", "a"); !strings.Contains(shown, "hi") {
		t.Errorf("show: %s", shown)
	}
}

func TestImportPHPFiles(t *testing.T) {
	r := newRig(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "sess_abc"), []byte(`user|i:7;`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := r.must("import", "--from-php-files", folder, "--prefix", "app."); !strings.Contains(out, "stored  1") {
		t.Errorf("import: %s", out)
	}
	if shown := r.must("show", "app.abc"); !strings.Contains(shown, "user") {
		t.Errorf("show: %s", shown)
	}
}

func TestImportFlags(t *testing.T) {
	r := newRig(t)
	for says, args := range map[string]string{
		"--match does not go":        "--match x",
		"--ttl does not go":          "--ttl 1h",
		"--from-ca does not go":      "--from-ca x",
		"one source":                 "--from-redis x file",
		"ndjson or tsv":              "--format csv",
		"--format goes with a file":  "--format tsv --from-memcached x",
		"none of the others can be":  "--from-redis x --from-memcached x",
		"if any flags in the group ": "--from-redis x --from-cert x",
		"no such file":               "--from-redis x --from-ca /nowhere",
		"must be positive":           "--from-php-files x --ttl 0s",
		"unknown parameter":          "--from-redis x?data=1",
	} {
		r.refuse(says, append([]string{"import"}, strings.Fields(args)...)...)
	}
}
