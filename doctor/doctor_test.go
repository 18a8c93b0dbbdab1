package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/doctor"
)

// graded returns the finding of a check whose name begins so.
func graded(t *testing.T, all []doctor.Finding, check string) doctor.Finding {
	t.Helper()
	for _, f := range all {
		if strings.HasPrefix(f.Check, check) {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", check, all)
	return doctor.Finding{}
}

func TestHealthy(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	all := doctor.Examine(t.Context(), doctor.Options{Dir: dir, Syncs: 20, OpenFiles: 8, Backlog: 1, Memory: 1 << 20, MemoryLimit: 1 << 30})
	for _, check := range []string{"data directory", "open files", "listen backlog", "memory"} {
		if f := graded(t, all, check); f.Grade != doctor.OK || f.Advice != "" {
			t.Errorf("%+v", f)
		}
	}
	if f := graded(t, all, "fdatasync"); !strings.Contains(f.Found, "of 20") {
		t.Errorf("%+v", f)
	}
	graded(t, all, "free space")
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDataDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]doctor.Grade{filepath.Join(dir, "absent"): doctor.Warn, file: doctor.Fail, open: doctor.Warn} {
		f := graded(t, doctor.Examine(t.Context(), doctor.Options{Dir: path, Syncs: 1}), "data directory")
		if f.Grade != want || f.Advice == "" {
			t.Errorf("%s: %+v", path, f)
		}
	}
}

func TestFailoverDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]doctor.Grade{filepath.Join(dir, "absent"): doctor.Warn, file: doctor.Fail, dir: doctor.Warn} {
		f := graded(t, doctor.Examine(t.Context(), doctor.Options{Dir: dir, FailoverDir: path, Syncs: 1}), "failover directory")
		if f.Grade != want || f.Advice == "" {
			t.Errorf("%s: %+v", path, f)
		}
	}
	const other = "/dev/shm"
	elsewhere, err := os.MkdirTemp(other, "cairn-doctor")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs another file system: ", err)
	}
	defer os.RemoveAll(elsewhere)
	f := graded(t, doctor.Examine(t.Context(), doctor.Options{Dir: dir, FailoverDir: elsewhere, Syncs: 1}), "failover directory")
	if f.Grade != doctor.OK || !strings.Contains(f.Found, "half within") {
		t.Errorf("on another file system: %+v", f)
	}
}

func TestTooLittle(t *testing.T) {
	all := doctor.Examine(t.Context(), doctor.Options{
		Dir: t.TempDir(), Syncs: 1, Reserve: func(total int64) int64 { return total + 1 }, Backlog: 1 << 30, Memory: 2 << 30, MemoryLimit: 1 << 30,
	})
	for check, want := range map[string]doctor.Grade{"free space": doctor.Fail, "listen backlog": doctor.Warn, "memory": doctor.Fail} {
		if f := graded(t, all, check); f.Grade != want || f.Advice == "" {
			t.Errorf("%+v", f)
		}
	}
	warned := doctor.Examine(t.Context(), doctor.Options{Memory: 1, MemoryLimit: 2 << 30, MemoryWarnings: []string{"the cache is cut"}})
	if f := warned[1]; f.Grade != doctor.Warn || f.Found != "the cache is cut" {
		t.Errorf("%+v", warned)
	}
	if doctor.Judge(all) == nil || doctor.Judge(all[:1]) != nil {
		t.Error("judged wrongly")
	}
}

// writeCertificate writes one that is valid between two instants.
func writeCertificate(t *testing.T, from, to time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]doctor.Grade{
		writeCertificate(t, now.Add(-day), now.Add(90*day)): doctor.OK,
		writeCertificate(t, now.Add(-day), now.Add(5*day)):  doctor.Warn,
		writeCertificate(t, now.Add(-9*day), now.Add(-day)): doctor.Fail,
		writeCertificate(t, now.Add(day), now.Add(90*day)):  doctor.Fail,
		garbage: doctor.Fail,
		"/none": doctor.Fail,
	} {
		f := graded(t, doctor.Examine(t.Context(), doctor.Options{Certificates: []string{file}}), "certificate")
		if f.Grade != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	for mode, want := range map[os.FileMode]doctor.Grade{0o600: doctor.OK, 0o640: doctor.OK, 0o644: doctor.Warn, 0o666: doctor.Warn} {
		file := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if f := graded(t, doctor.Examine(t.Context(), doctor.Options{Secrets: []string{file}}), "file"); f.Grade != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

func TestStopsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all := doctor.Examine(ctx, doctor.Options{Dir: t.TempDir()}); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
