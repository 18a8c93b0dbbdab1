// Command debian builds the Debian package of Cairn: the static program, its
// man pages and completions, the systemd units and a configuration.
//
// It is a module of its own, so that what builds packages is no dependency of
// the server.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

func main() {
	b := build{root: "../.."}
	flag.StringVar(&b.version, "version", "", "version of the package, such as 1.2.3")
	flag.StringVar(&b.arch, "arch", runtime.GOARCH, "architecture in Go's words")
	flag.StringVar(&b.out, "out", ".", "directory for the package")
	flag.StringVar(&b.maintainer, "maintainer", "Cairn <cairn@localhost>", "name and address for the package's control file")
	flag.Parse()
	path, err := b.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "debian:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// build is one package to be built.
type build struct {
	root       string // of the repository
	version    string
	arch       string
	out        string
	maintainer string

	work string // scratch directory
}

// run builds the package and gives its path.
func (b *build) run() (path string, err error) {
	if b.version == "" {
		return "", fmt.Errorf("a package needs a -version")
	}
	if b.work, err = os.MkdirTemp("", "cairn-deb-"); err != nil {
		return "", err
	}
	defer os.RemoveAll(b.work)
	if err := b.compile("cairn", b.arch); err != nil {
		return "", err
	}
	if err := b.document(); err != nil {
		return "", err
	}
	info, err := b.describe()
	if err != nil {
		return "", err
	}
	return b.write(info)
}

// compile builds the program for an architecture into the scratch directory.
func (b *build) compile(name, arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+b.version,
		"-o", filepath.Join(b.work, name), "./cmd/cairn")
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	return output(cmd)
}

// document lets the program write its man pages and completions.
func (b *build) document() error {
	program := filepath.Join(b.work, "cairn")
	if b.arch != runtime.GOARCH {
		program = filepath.Join(b.work, "cairn-here")
		if err := b.compile("cairn-here", runtime.GOARCH); err != nil {
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

// describe gives the package's control data and contents.
func (b *build) describe() (*nfpm.Info, error) {
	info := &nfpm.Info{
		Name: "cairn", Arch: b.arch, Platform: "linux", Version: b.version,
		Section: "database", Priority: "optional", Maintainer: b.maintainer,
		Description: "durable session store for memcached clients\n" +
			" Cairn keeps web sessions on disk and speaks memcached's protocols, so that\n" +
			" a restart logs nobody out.",
		License: "Apache-2.0",
		MTime:   sourceDate(),
		Overridables: nfpm.Overridables{
			Depends:    []string{"init-system-helpers (>= 1.54~)"},
			Recommends: []string{"systemd"},
			Scripts: nfpm.Scripts{
				PostInstall: "scripts/postinst",
				PreRemove:   "scripts/prerm",
				PostRemove:  "scripts/postrm",
			},
			Deb: nfpm.Deb{Compression: "xz"},
		},
	}
	contents, err := b.contents()
	if err != nil {
		return nil, err
	}
	info.Contents = contents
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return nil, err
	}
	return info, nil
}

func (b *build) contents() (files.Contents, error) {
	list := files.Contents{
		b.file("cairn", "/usr/bin/cairn", 0o755),
		b.file("completion.bash", "/usr/share/bash-completion/completions/cairn", 0o644),
		b.file("completion.zsh", "/usr/share/zsh/vendor-completions/_cairn", 0o644),
		b.file("completion.fish", "/usr/share/fish/vendor_completions.d/cairn.fish", 0o644),
		shared("../systemd/cairn.service", "/lib/systemd/system/cairn.service", files.TypeFile),
		shared("../systemd/cairn.socket", "/lib/systemd/system/cairn.socket", files.TypeFile),
		shared("../systemd/cairn-http.socket", "/lib/systemd/system/cairn-http.socket", files.TypeFile),
		shared("../systemd/cairn.sysusers", "/usr/lib/sysusers.d/cairn.conf", files.TypeFile),
		shared("../systemd/cairn.yaml", "/etc/cairn/cairn.yaml", files.TypeConfig),
		shared("../systemd/cairn.default", "/etc/default/cairn", files.TypeConfig),
		shared("copyright", "/usr/share/doc/cairn/copyright", files.TypeFile),
	}
	pages, err := filepath.Glob(filepath.Join(b.work, "man", "*.1.gz"))
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		list = append(list, b.file(filepath.Join("man", filepath.Base(page)), "/usr/share/man/man1/"+filepath.Base(page), 0o644))
	}
	return list, nil
}

// file is one that this build has made.
func (b *build) file(name, destination string, mode fs.FileMode) *files.Content {
	return &files.Content{
		Source: filepath.Join(b.work, name), Destination: destination,
		FileInfo: &files.ContentFileInfo{Mode: mode, MTime: sourceDate(), Owner: "root", Group: "root"},
	}
}

// shared is a file of the repository.
func shared(source, destination, kind string) *files.Content {
	return &files.Content{
		Source: source, Destination: destination, Type: kind,
		FileInfo: &files.ContentFileInfo{Mode: 0o644, MTime: sourceDate(), Owner: "root", Group: "root"},
	}
}

func (b *build) write(info *nfpm.Info) (path string, err error) {
	packager, err := nfpm.Get("deb")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return "", err
	}
	path = filepath.Join(b.out, packager.ConventionalFileName(info))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := packager.Package(info, f); err != nil {
		f.Close()
		return "", err
	}
	return path, f.Close()
}

// sourceDate is the date that all files bear: SOURCE_DATE_EPOCH (see
// reproducible-builds.org), or now.
func sourceDate() time.Time {
	var seconds int64
	if _, err := fmt.Sscan(os.Getenv("SOURCE_DATE_EPOCH"), &seconds); err == nil {
		return time.Unix(seconds, 0)
	}
	return time.Now().Truncate(time.Second)
}

// output runs a command whose words matter only if it fails.
func output(cmd *exec.Cmd) error {
	words, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, words)
	}
	return nil
}
