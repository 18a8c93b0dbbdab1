package recorded

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	want := []Exchange{{"get a\r\n", "END\r\n"}, {"\x80\x00\"\n", ""}, {"", "\xff\x00"}}
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, content := range []string{"< \"x\"\n", "> x\n", "? \"x\"\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err == nil {
			t.Errorf("%q is read as %q", content, got)
		}
	}
}
