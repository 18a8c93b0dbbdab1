package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// writePackages builds the packages cairn and cairn-bench, of a kind that nfpm
// knows.
func (b *build) writePackages(kind string) (paths []string, err error) {
	server, err := b.describeServer(kind)
	if err != nil {
		return nil, err
	}
	for _, info := range []*nfpm.Info{server, b.describeBench(kind)} {
		path, err := b.writePackage(kind, info)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (b *build) writePackage(kind string, info *nfpm.Info) (path string, err error) {
	if err := nfpm.PrepareForPackager(info, kind); err != nil {
		return "", err
	}
	packager, err := nfpm.Get(kind)
	if err != nil {
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

// describe returns what the packages have in common.
func (b *build) describe(name, summary, more string) *nfpm.Info {
	return &nfpm.Info{
		Name: name, Arch: b.arch, Platform: "linux", Version: b.version,
		Section: "database", Priority: "optional", Maintainer: b.maintainer,
		Description: summary + "\n" + more,
		License:     "Apache-2.0",
		MTime:       b.date,
		Overridables: nfpm.Overridables{
			Deb: nfpm.Deb{Compression: "zstd"},
			RPM: nfpm.RPM{Summary: summary, BuildHost: "cairn"},
		},
	}
}

// describeBench returns the control data and contents of the package cairn-bench.
func (b *build) describeBench(kind string) *nfpm.Info {
	info := b.describe("cairn-bench", "compares the session store Cairn with other servers",
		" It runs Cairn, memcached, Redis and yrmcds side by side, puts the traffic of\n"+
			" web sessions on them and reports what they achieved and what they cost.")
	info.Contents = files.Contents{
		b.file("cairn-bench", "/usr/bin/cairn-bench", 0o755),
		b.shared("copyright", "/usr/share/doc/cairn-bench/copyright", files.TypeFile, 0o644),
	}
	if kind == "deb" {
		info.Recommends = []string{"cairn (= " + b.version + ")"}
		info.Suggests = []string{"memcached", "redis-server", "yrmcds"}
	}
	return info
}

// describeServer returns those of the package cairn.
func (b *build) describeServer(kind string) (*nfpm.Info, error) {
	info := b.describe("cairn", "durable session store for memcached clients",
		" Cairn keeps web sessions on disk and speaks memcached's protocols, so that\n"+
			" a restart logs nobody out.")
	var err error
	if info.Contents, err = b.contents(); err != nil {
		return nil, err
	}
	switch kind {
	case "deb":
		info.Depends = []string{"init-system-helpers (>= 1.54~)"}
		info.Recommends = []string{"systemd"}
		info.Suggests = []string{"cairn-bench"}
		info.Scripts = scripts("deb")
	case "rpm":
		info.Scripts = scripts("rpm")
	case "apk":
		info.Scripts.PreInstall = "scripts/apk/preinst"
		info.Contents = append(b.withoutUnits(info.Contents), b.shared("openrc/cairn", "/etc/init.d/cairn", files.TypeConfig, 0o755))
	}
	return info, nil
}

func scripts(kind string) nfpm.Scripts {
	return nfpm.Scripts{
		PostInstall: "scripts/" + kind + "/postinst",
		PreRemove:   "scripts/" + kind + "/prerm",
		PostRemove:  "scripts/" + kind + "/postrm",
	}
}

// unitFiles are where systemd looks.
var unitFiles = []string{"/lib/systemd/system/*", "/usr/lib/sysusers.d/*", "/etc/default/*"}

// withoutUnits leaves out what only systemd reads.
func (b *build) withoutUnits(all files.Contents) (rest files.Contents) {
	for _, f := range all {
		ofSystemd := false
		for _, pattern := range unitFiles {
			matched, _ := filepath.Match(pattern, f.Destination)
			ofSystemd = ofSystemd || matched
		}
		if !ofSystemd {
			rest = append(rest, f)
		}
	}
	return rest
}

func (b *build) contents() (files.Contents, error) {
	list := files.Contents{
		b.file("cairn", "/usr/bin/cairn", 0o755),
		b.file("completion.bash", "/usr/share/bash-completion/completions/cairn", 0o644),
		b.file("completion.zsh", "/usr/share/zsh/vendor-completions/_cairn", 0o644),
		b.file("completion.fish", "/usr/share/fish/vendor_completions.d/cairn.fish", 0o644),
		b.shared("../systemd/cairn.service", "/lib/systemd/system/cairn.service", files.TypeFile, 0o644),
		b.shared("../systemd/cairn-proxy.service", "/lib/systemd/system/cairn-proxy.service", files.TypeFile, 0o644),
		b.shared("../systemd/cairn.socket", "/lib/systemd/system/cairn.socket", files.TypeFile, 0o644),
		b.shared("../systemd/cairn-http.socket", "/lib/systemd/system/cairn-http.socket", files.TypeFile, 0o644),
		b.shared("../systemd/cairn.sysusers", "/usr/lib/sysusers.d/cairn.conf", files.TypeFile, 0o644),
		b.shared("../systemd/cairn.yaml", "/etc/cairn/cairn.yaml", files.TypeConfig, 0o644),
		b.shared("../systemd/cairn.default", "/etc/default/cairn", files.TypeConfig, 0o644),
		b.shared("copyright", "/usr/share/doc/cairn/copyright", files.TypeFile, 0o644),
		b.shared("../../LICENSE", "/usr/share/doc/cairn/LICENSE", files.TypeFile, 0o644),
		b.shared("../../NOTICE", "/usr/share/doc/cairn/NOTICE", files.TypeFile, 0o644),
	}
	pages, err := b.manPages()
	for _, page := range pages {
		list = append(list, b.file(page, "/usr/share/man/man1/"+filepath.Base(page), 0o644))
	}
	return list, err
}

// manPages returns the paths of the man pages in the scratch directory.
func (b *build) manPages() (pages []string, err error) {
	found, err := filepath.Glob(filepath.Join(b.work, "man", "*.1.gz"))
	for _, page := range found {
		pages = append(pages, filepath.Join("man", filepath.Base(page)))
	}
	return pages, err
}

// file is one that this build has made.
func (b *build) file(name, destination string, mode fs.FileMode) *files.Content {
	return b.shared(filepath.Join(b.work, name), destination, files.TypeFile, mode)
}

// shared is a file of the repository.
func (b *build) shared(source, destination, kind string, mode fs.FileMode) *files.Content {
	return &files.Content{
		Source: source, Destination: destination, Type: kind,
		FileInfo: &files.ContentFileInfo{Mode: mode, MTime: b.date, Owner: "root", Group: "root"},
	}
}
