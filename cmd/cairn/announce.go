package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cairn/cluster/membership"
	"cairn/cmd/cairn/config"
)

// announce writes the log's first line: what starts, and on which data
// directory. It warns if that is new while there are stores where one might
// have been meant: a relative path leads elsewhere from another directory.
func announce(cfg *config.Config, home string, logger *slog.Logger) {
	if cfg.Proxy() {
		logger.Info("cairn starts", "version", version, "role", cfg.Role, "join", strings.Join(cfg.Join, ","))
		return
	}
	dir := absoluteDir(cfg)
	found := "new store"
	switch _, err := os.Stat(filepath.Join(dir, membership.FileName)); {
	case holdsStore(dir):
		found = "existing store"
	case err == nil:
		found = "existing node of a cluster"
	}
	logger.Info("cairn starts", "version", version, "data-dir", dir, "found", found)
	if near := storesNear(dir, home); found == "new store" && len(near) > 0 {
		logger.Warn("the data directory is new, but there are stores near it; if one of them is meant, stop and name it with --data-dir",
			"data-dir", dir, "stores", strings.Join(near, " "))
	}
}

// holdsStore reports whether a directory holds a store, as far as this process
// may look.
func holdsStore(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "FORMAT"))
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len("cairn "))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "cairn "
}

// nearMost bounds the directories that storesNear looks into.
const nearMost = 256

// storesNear lists other directories with a store: beside dir, above it, and
// where packages and people put them.
func storesNear(dir, home string) (stores []string) {
	const usual = "cairn-data"
	candidates := []string{"/var/lib/cairn"}
	if home != "" {
		candidates = append(candidates, filepath.Join(home, usual))
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		candidates = append(candidates, filepath.Join(above, usual))
		if above == filepath.Dir(above) {
			break
		}
	}
	if parent, err := os.Open(filepath.Dir(dir)); err == nil {
		names, _ := parent.Readdirnames(nearMost)
		parent.Close()
		for _, name := range names {
			candidates = append(candidates, filepath.Join(filepath.Dir(dir), name))
		}
	}
	slices.Sort(candidates)
	for _, c := range slices.Compact(candidates) {
		if c != dir && holdsStore(c) {
			stores = append(stores, c)
		}
	}
	return stores
}

// absoluteDir returns the data directory as log lines name it: absolute, or as it was
// given if the working directory is unknown.
func absoluteDir(cfg *config.Config) string {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return cfg.DataDir
	}
	return dir
}
