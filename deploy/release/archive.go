package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// entry is a file of a tar archive.
type entry struct {
	source, name string
	mode         int64
}

// writeTar puts the program and what goes with it into a compressed archive, in
// a folder named after it.
func (b *build) writeTar() (path string, err error) {
	folder := fmt.Sprintf("cairn_%s_linux_%s/", b.version, b.arch)
	entries := []entry{
		{filepath.Join(b.work, "cairn"), folder + "cairn", 0o755},
		{filepath.Join(b.work, "cairn-bench"), folder + "cairn-bench", 0o755},
	}
	for _, name := range []string{"LICENSE", "NOTICE", "README.md", "CHANGELOG.md"} {
		entries = append(entries, entry{filepath.Join(b.root, name), folder + name, 0o644})
	}
	for _, name := range []string{"cairn.service", "cairn-proxy.service", "cairn.socket", "cairn-http.socket", "cairn.sysusers", "cairn.yaml", "cairn.default"} {
		entries = append(entries, entry{filepath.Join("..", "systemd", name), folder + "systemd/" + name, 0o644})
	}
	pages, err := b.manPages()
	if err != nil {
		return "", err
	}
	for _, name := range append(pages, "completion.bash", "completion.zsh", "completion.fish") {
		entries = append(entries, entry{filepath.Join(b.work, name), folder + name, 0o644})
	}
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	if err := b.pack(compressed, entries); err != nil {
		return "", err
	}
	if err := compressed.Close(); err != nil {
		return "", err
	}
	path = b.path(".tar.gz")
	return path, os.WriteFile(path, archive.Bytes(), 0o644)
}

// pack writes entries as a tar stream that depends on nothing but them.
func (b *build) pack(to io.Writer, entries []entry) error {
	w := tar.NewWriter(to)
	for _, e := range entries {
		content, err := os.ReadFile(e.source)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(content)), ModTime: b.date, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return w.Close()
}

// writeSums writes the checksums of all that was built, for sha256sum -c.
func (r *release) writeSums() error {
	slices.Sort(r.built)
	var sums bytes.Buffer
	for _, path := range r.built {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), filepath.Base(path))
	}
	path := filepath.Join(r.out, "SHA256SUMS")
	fmt.Println(path)
	return os.WriteFile(path, sums.Bytes(), 0o644)
}
