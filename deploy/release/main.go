// Command release builds what a release of Cairn consists of: a static program
// for each architecture in a tar archive, packages for Debian (.deb), Fedora and
// its like (.rpm) and Alpine (.apk), a container image as an archive, a list of
// the libraries in it (SBOM, CycloneDX), and checksums.
//
// What it builds depends on the sources, the version and SOURCE_DATE_EPOCH
// alone: a second build has the same bytes.
//
// It is a module of its own, so that what builds packages is no dependency of
// the server.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	var r release
	var arches, only string
	flag.StringVar(&r.version, "version", "", "version of the release, such as 1.2.3")
	flag.StringVar(&arches, "arch", "amd64,arm64", "architectures in Go's words")
	flag.StringVar(&only, "only", strings.Join(kinds, ","), "what to build")
	flag.StringVar(&r.out, "out", ".", "directory for what is built")
	flag.StringVar(&r.maintainer, "maintainer", "The Cairn Authors <cairn@localhost>", "name and address for packages")
	flag.Parse()
	r.root = filepath.Join("..", "..")
	r.arches, r.only = strings.Split(arches, ","), strings.Split(only, ",")
	r.date = sourceDate()
	if err := r.run(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// kinds are what a release consists of, besides checksums.
var kinds = []string{"tar", "deb", "rpm", "apk", "image", "sbom"}

// release is what is to be built.
type release struct {
	root       string // of the repository
	version    string
	arches     []string
	only       []string
	out        string
	maintainer string
	date       time.Time // that all files bear

	built []string // paths
}

// run builds all of it and prints the paths.
func (r *release) run() error {
	if r.version == "" {
		return fmt.Errorf("a release needs a -version")
	}
	for _, kind := range r.only {
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("-only is a list of %s, not %q", strings.Join(kinds, ", "), kind)
		}
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, arch := range r.arches {
		if err := r.runArch(arch); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	return r.writeSums()
}

// runArch builds what differs between architectures.
func (r *release) runArch(arch string) error {
	b, err := compile(r, arch)
	if err != nil {
		return err
	}
	defer b.close()
	for _, kind := range r.only {
		paths, err := b.make(kind)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		fmt.Println(strings.Join(paths, "\n"))
		r.built = append(r.built, paths...)
	}
	return nil
}

// sourceDate is the date that all files bear: SOURCE_DATE_EPOCH (see
// reproducible-builds.org), or now.
func sourceDate() time.Time {
	var seconds int64
	if _, err := fmt.Sscan(os.Getenv("SOURCE_DATE_EPOCH"), &seconds); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Now().Truncate(time.Second).UTC()
}
