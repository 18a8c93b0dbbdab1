package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release.
var version = "0.1.0-dev"

// compatibleVersion is the version of memcached whose protocol this is, and
// what the protocol's own command version answers.
const compatibleVersion = "1.6.45"

func (p *program) versionCommand() *cobra.Command {
	var modules bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			printVersion(p.stdout, modules)
			return nil
		},
	}
	cmd.Flags().BoolVar(&modules, "modules", false, "list the libraries it is built from, with their versions")
	return cmd
}

func printVersion(w io.Writer, modules bool) {
	fmt.Fprintf(w, "cairn %s (memcached %s)%s %s %s/%s\n",
		version, compatibleVersion, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	info, ok := debug.ReadBuildInfo()
	if !modules || !ok {
		return
	}
	for _, m := range info.Deps {
		fmt.Fprintln(w, m.Path, m.Version)
	}
}

// revision is the commit the program was built from, where that is known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			commit = " " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	return commit + dirty
}
