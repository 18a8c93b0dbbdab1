package decode

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of TestGolden anew")

// hintsOf returns the hints for a file of testdata: a number in its name is the
// client flags.
func hintsOf(name string) Hints {
	h := Hints{Key: []byte("session")}
	if parts := strings.Split(name, "."); len(parts) == 3 {
		flags, _ := strconv.ParseUint(parts[1], 10, 32)
		h.Flags = uint32(flags)
	}
	if strings.HasPrefix(name, "msm_validity") {
		h.Key = []byte("validity:0123")
	}
	return h
}

// TestGolden decodes what testdata/generate.sh wrote with the real libraries.
// The golden files were compared by eye with what the generators put in.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			value, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(mustValue(t, value, hintsOf(name)), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".bin") + ".golden.json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.TrimSpace(want), got) {
				t.Errorf("decoded differently:\n%s", got)
			}
		})
	}
}
