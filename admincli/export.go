package admincli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) exportCommand() *cobra.Command {
	var filter filterFlags
	var noValues bool
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write sessions as NDJSON",
		Long:  "Write sessions with their values, one JSON object per line, to FILE or standard output. import reads them.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			name := "-"
			if len(args) > 0 {
				name = args[0]
			}
			return a.export(cmd, c, name, &filter, !noValues)
		},
	}
	filter.add(cmd)
	cmd.Flags().BoolVar(&noValues, "no-values", false, "leave the values out; a token of scope read will do")
	return cmd
}

func (a *app) export(cmd *cobra.Command, c *adminapi.Client, name string, flags *filterFlags, values bool) error {
	filter, err := flags.filter(time.Now())
	if err != nil {
		return err
	}
	total := int64(-1)
	if stats, err := c.Stats(cmd.Context()); err == nil && !flags.given() {
		total = stats.Sessions.Items
	}
	stream, err := c.Export(cmd.Context(), &filter, values)
	if err != nil {
		return err
	}
	defer stream.Close()
	p := a.newProgress("export", total, false)
	defer p.end()
	lines, err := saveTo(name, a.Stdout, func(w io.Writer) (int64, error) {
		counter := &lineCounter{Writer: w, progress: p}
		_, err := io.Copy(counter, stream)
		return counter.lines, err
	})
	if err != nil {
		return fmt.Errorf("the export is incomplete: %w", err)
	}
	p.end()
	switch {
	case name == "-":
		return nil
	case a.json():
		return printJSON(a.Stdout, map[string]any{"file": name, "sessions": lines})
	}
	fmt.Fprintf(a.Stdout, "%s: %s sessions\n", name, count(lines))
	return nil
}

// lineCounter counts lines as they are written.
type lineCounter struct {
	io.Writer
	progress *progress
	lines    int64
}

func (w *lineCounter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	lines := 0
	for _, b := range p[:n] {
		if b == '\n' {
			lines++
		}
	}
	w.lines += int64(lines)
	w.progress.add(lines)
	return n, err
}
