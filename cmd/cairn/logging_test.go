package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/cmd/cairn/config"
)

// ownLog is the configuration of a daemon that logs to its data directory.
func ownLog(dir string) *config.Config {
	cfg := config.New()
	cfg.DataDir, cfg.LogFile, cfg.OwnLog = dir, filepath.Join(dir, config.OwnLogName), true
	return cfg
}

func TestALogInTheDataDirectoryIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	logger, _, file, err := newLogger(ownLog(dir), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.most = 1000
	for range 100 {
		logger.Info(strings.Repeat("x", 100))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Size() == 0 || info.Size() > 1500 {
			t.Errorf("%s: %v, %v", e.Name(), info.Size(), err)
		}
	}
}

// TestALogInTheDataDirectoryFollowsNoLink lets the user of the data directory
// plant something where root is going to log.
func TestALogInTheDataDirectoryFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, cfg := filepath.Join(t.TempDir(), "victim"), ownLog(dir)
	if err := os.Symlink(victim, cfg.LogFile); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := newLogger(cfg, os.Stderr); err == nil {
		t.Error("a link was followed")
	}
	if _, err := os.Lstat(victim); !os.IsNotExist(err) {
		t.Errorf("something was made elsewhere: %v", err)
	}
}
