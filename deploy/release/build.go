package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// build is the programs of one architecture with man pages and completions, in a
// scratch directory.
type build struct {
	*release
	arch string
	work string
}

// compile builds the program and what it says about itself.
func compile(r *release, arch string) (b *build, err error) {
	b = &build{release: r, arch: arch}
	if b.work, err = os.MkdirTemp("", "cairn-release-"); err != nil {
		return nil, err
	}
	for _, program := range []string{"cairn", "cairn-bench"} {
		err = errors.Join(err, b.compile(program, program, arch))
	}
	if err == nil {
		err = b.document()
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *build) close() { os.RemoveAll(b.work) }

// compile builds a program of cmd for an architecture into the scratch directory,
// as name. Nothing of this machine or of the state of the checkout gets into it.
func (b *build) compile(program, name, arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+b.version,
		"-o", filepath.Join(b.work, name), "./cmd/"+program)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	return output(cmd)
}

// document lets the program write its man pages and completions.
func (b *build) document() error {
	program := filepath.Join(b.work, "cairn")
	if b.arch != runtime.GOARCH {
		program = filepath.Join(b.work, "cairn-here")
		if err := b.compile("cairn", "cairn-here", runtime.GOARCH); err != nil {
			return err
		}
	}
	if err := output(exec.Command(program, "man", filepath.Join(b.work, "man"))); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := exec.Command(program, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(b.work, "completion."+shell), script, 0o644); err != nil {
			return err
		}
	}
	pages, err := filepath.Glob(filepath.Join(b.work, "man", "*.1"))
	if err != nil {
		return err
	}
	return output(exec.Command("gzip", append([]string{"-9", "-n"}, pages...)...))
}

// make builds one of the kinds and returns the paths of its files.
func (b *build) make(kind string) (paths []string, err error) {
	var path string
	switch kind {
	case "tar":
		path, err = b.writeTar()
	case "image":
		path, err = b.writeImage()
	case "sbom":
		path, err = b.writeSBOM()
	default:
		return b.writePackages(kind)
	}
	return []string{path}, err
}

// path returns where a file of the release goes.
func (b *build) path(suffix string) string {
	return filepath.Join(b.out, fmt.Sprintf("cairn_%s_linux_%s%s", b.version, b.arch, suffix))
}

// output runs a command whose words matter only if it fails.
func output(cmd *exec.Cmd) error {
	words, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, words)
	}
	return nil
}
