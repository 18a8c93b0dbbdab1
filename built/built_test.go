package built

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program is as its flags say, at each place where it is asked for.
func TestProgram(t *testing.T) {
	for word, flags := range map[string][]string{
		"plain": nil,
		"other": {"-ldflags", "-X main.word=other"},
	} {
		for _, name := range []string{"first", "second"} {
			path := filepath.Join(t.TempDir(), name)
			if err := (Program{Package: "./testdata/word", Flags: flags, Static: true}).To(path); err != nil {
				t.Fatal(err)
			}
			if said, err := exec.Command(path).Output(); err != nil || string(said) != word {
				t.Errorf("%s of flags %q says %q, %v", name, flags, said, err)
			}
		}
	}
}

// What the compiler says is in the error.
func TestProgramThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := (Program{Package: "./testdata/none"}).To(path); err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("%v", err)
	}
}
