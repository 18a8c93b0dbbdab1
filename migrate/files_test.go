package migrate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPHPFiles imports what PHP itself has written.
func TestPHPFiles(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a")
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	php, err := exec.LookPath("php")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	script := `session_id("first"); session_start(); $_SESSION["user"] = "alice"; session_write_close();`
	if out, err := exec.Command(php, "-d", "session.save_path="+dir, "-d", "session.use_cookies=0", "-d", "session.cache_limiter=", "-r", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, age := range map[string]time.Duration{
		"sess_ended": time.Hour, "other": 0, "a/sess_deep": 10 * time.Minute, "sess_" + strings.Repeat("x", 250): 0,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "sess_link")); err != nil {
		t.Fatal(err)
	}
	got, _, summary := collect(t, func(emit Emit) (Summary, error) {
		return PHPFiles(t.Context(), dir, "memc.sess.key.", 24*time.Minute, Options{}, emit)
	})
	compare(t, got, map[string]sent{
		"memc.sess.key.first": {`user|s:5:"alice";`, 0, 24 * 60},
		"memc.sess.key.deep":  {"of a/sess_deep", 0, 14 * 60},
	})
	if summary != (Summary{Gone: 1, Unsuitable: 1}) {
		t.Errorf("%+v", summary)
	}
	if _, err := PHPFiles(t.Context(), filepath.Join(dir, "none"), "", time.Hour, Options{}, nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

func TestTSV(t *testing.T) {
	at := time.Now().Add(time.Hour).Unix()
	in := fmt.Sprintf("sess:a\t%d\taGk=\r\n\nsess:b\t0\t\nsess:\\t\\\\\t%d.5\taGk=\nended\t1\taGk=\nages\t99999999999999\taGk=\n", at, at) +
		"no columns\nsess:c\tx\taGk=\nsess:d\t0\t!\n\t0\taGk=\nx\\\t0\taGk=\nx\\q\t0\taGk=\n"
	skipped := ""
	options := Options{Skipped: func(key []byte, reason string) { skipped += string(key) + ": " + reason + "\n" }}
	got, _, summary := collect(t, func(emit Emit) (Summary, error) { return TSV(t.Context(), strings.NewReader(in), options, emit) })
	compare(t, got, map[string]sent{
		"sess:a": {"hi", 0, 3600}, "sess:b": {"", 0, 0}, "sess:\t\\": {"hi", 0, 3600}, "ages": {"hi", 0, 0},
	})
	want := "line 7: it has 1 columns instead of key, expiry and value\nline 8: its expiry is not a number of seconds since 1970\n" +
		"line 9: its value is not base64\nline 10: a key has 1 to 250 bytes\nline 11: its key ends in a backslash\nline 12: its key has an unknown escape \\q\n"
	if summary != (Summary{Gone: 1, Unsuitable: 6}) || skipped != want {
		t.Errorf("%+v, skipped %s", summary, skipped)
	}
}
