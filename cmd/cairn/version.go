package main

import (
	"encoding/json"
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
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: "  cairn version\n" +
			"  cairn version -o json",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			return printVersion(p.stdout, output, modules)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`form` of what is printed: text or json")
	cmd.Flags().BoolVar(&modules, "modules", false, "list the libraries it is built from, with their versions")
	return cmd
}

// versionInfo is the version as JSON.
type versionInfo struct {
	Version   string   `json:"version"`
	Memcached string   `json:"memcached"` // whose protocol it speaks
	Commit    string   `json:"commit,omitempty"`
	Go        string   `json:"go"`
	Platform  string   `json:"platform"`
	Modules   []module `json:"modules,omitempty"`
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// printVersion writes the version as text or json, with the libraries if
// modules.
func printVersion(w io.Writer, form string, modules bool) error {
	v := versionInfo{
		Version: version, Memcached: compatibleVersion, Commit: revision(),
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok && modules {
		for _, m := range info.Deps {
			v.Modules = append(v.Modules, module{m.Path, m.Version})
		}
	}
	switch form {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "text":
		return v.print(w)
	}
	return usageError{fmt.Errorf("--output must be text or json, not %q", form)}
}

func (v *versionInfo) print(w io.Writer) error {
	commit := v.Commit
	if commit != "" {
		commit = " " + commit
	}
	_, err := fmt.Fprintf(w, "cairn %s (memcached %s)%s %s %s\n", v.Version, v.Memcached, commit, v.Go, v.Platform)
	for _, m := range v.Modules {
		_, err = fmt.Fprintln(w, m.Path, m.Version)
	}
	return err
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
			commit = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	return commit + dirty
}
