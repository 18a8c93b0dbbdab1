package admincli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
)

func (a *app) analyzeCommand() *cobra.Command {
	var q adminapi.AnalysisQuery
	cmd := &cobra.Command{
		Use:   "analyze",
		Short: "Show what fills sessions",
		Long: "Show, by rule, how many sessions there are, how large and how old they are, in which formats\n" +
			"they are written, how many were never read again, and which members of their values take\n" +
			"the space. The server reads a sample for some seconds, and works during half of them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Sample < 1 || q.Sample > maxSample {
				return usagef("--sample must be from 1 to %d", maxSample)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			found, err := c.Analysis(cmd.Context(), q)
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &found)
			}
			return a.analysisTable(&found)
		},
	}
	cmd.Flags().StringVar(&q.Rule, "rule", "", "only keys of the rule with this `name`")
	cmd.Flags().StringVar(&q.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().IntVar(&q.Sample, "sample", 10_000, "about how many `sessions` to look at")
	return cmd
}

// maxSample is the largest sample that a server takes.
const maxSample = 100_000

func (a *app) analysisTable(found *adminapi.Analysis) error {
	about := "about "
	if found.Complete {
		about = ""
	}
	fmt.Fprintf(a.Stdout, "%s sessions were looked at\n", count(int64(found.Sampled)))
	for i := range found.Rules {
		r := &found.Rules[i]
		name := r.Rule + ", " + r.Kind
		if r.Rule == "" {
			name = "(no rule)"
		}
		fmt.Fprintf(a.Stdout, "\n%s\n", name)
		t := newTable(a.Stdout)
		t.row("  keys", about+count(r.Sessions))
		t.row("  values", about+size(r.Bytes))
		t.row("  size", fmt.Sprintf("p50 %s, p90 %s, p99 %s, largest %s", size(r.Size.P50), size(r.Size.P90), size(r.Size.P99), size(r.Size.Max)))
		if r.AgeOf > 0 {
			t.row("  age", fmt.Sprintf("p50 %s, p90 %s, p99 %s, oldest %s", age(r.Age.P50), age(r.Age.P90), age(r.Age.P99), age(r.Age.Max)))
		}
		if r.Remembered > 0 {
			t.row("  never read", inHundred(r.NeverRead)+" of the "+count(int64(r.Remembered))+" that are in memory")
		}
		t.row("  formats", formats(r.Formats))
		if err := t.Flush(); err != nil {
			return err
		}
		if err := a.memberTable(r.Members); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) memberTable(members []adminapi.MemberShare) error {
	if len(members) == 0 {
		return nil
	}
	t := newTable(a.Stdout)
	t.row("  MEMBER", "OF BYTES", "IN", "MEAN SIZE")
	for _, m := range members {
		t.row("  "+printable(m.Path), inHundred(m.Share), inHundred(m.Present), size(m.Mean))
	}
	return t.Flush()
}

// printable writes a name from a value so that a terminal shows it and no more.
func printable(name string) string {
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

func formats(list []adminapi.FormatShare) string {
	var parts []string
	for _, f := range list {
		parts = append(parts, f.Format+" "+inHundred(f.Share))
	}
	return strings.Join(parts, "; ")
}

func inHundred(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + "%" }

func age(seconds int64) string { return span(time.Duration(seconds) * time.Second) }
