// Command check lints a Helm chart, renders it with values, and writes the
// manifests to standard output, as `helm lint` and `helm template` do. It is a
// module of its own, so that Helm is no dependency of the server.
//
//	go run . CHART [VALUES-FILE]
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

const releaseName, namespace = "sessions", "shop"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("usage: check CHART [VALUES-FILE]")
	}
	values := map[string]any{}
	if len(args) == 2 {
		read, err := common.ReadValuesFile(args[1])
		if err != nil {
			return err
		}
		values = read
	}
	return errors.Join(lintChart(args[0], values), render(args[0], values, out))
}

// lintChart fails for warnings too, as helm lint --strict does.
func lintChart(dir string, values map[string]any) error {
	var faults []error
	for _, m := range lint.RunAll(dir, values, namespace).Messages {
		if m.Severity >= support.WarningSev {
			faults = append(faults, m)
		}
	}
	return errors.Join(faults...)
}

func render(dir string, values map[string]any, out io.Writer) error {
	chart, err := loader.LoadDir(dir)
	if err != nil {
		return err
	}
	options := common.ReleaseOptions{Name: releaseName, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") || strings.TrimSpace(files[name]) == "" {
			continue
		}
		fmt.Fprintf(out, "---\n# %s\n%s\n", name, strings.TrimSpace(files[name]))
	}
	return nil
}
