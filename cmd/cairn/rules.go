package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cairn/policy"
	"cairn/session"
)

// rulesCommand tells what the server knows of sessions.
func (p *program) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules [KEY] [flags of serve]",
		Short: "Print the rules for sessions that come with Cairn, or the one that applies to a key",
		Long: "Without a key, print the presets that --sessions chooses from, in the form of a file for\n" +
			"--session-rules. With a key, show which rule applies to it under the same flags, environment and file.",
		Example: "  cairn rules\n" +
			"  cairn rules memc.sess.key.0123456789 --sessions php\n" +
			"  cairn rules sess:abc --config /etc/cairn/cairn.yaml",
		Args: arguments(0, 1),
	}
	cfg, load := p.configure(cmd)
	cmd.AddCommand(p.tryCommand())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			_, err := p.stdout.Write(policy.Presets)
			return err
		}
		if err := load(); err != nil {
			return err
		}
		return explain(p.stdout, cfg.Rules.Set(), args[0])
	}
	return cmd
}

// explain writes which rule applies to key and what it does.
func explain(w io.Writer, set *policy.Set, key string) error {
	rule, kind, pattern := set.Explain([]byte(key))
	if rule == nil {
		_, err := fmt.Fprintf(w, "no rule applies to %q: it is stored as it comes\n", key)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "rule\t%s\nkind\t%s\nmatches\t%s\n", rule.Name, kind, pattern)
	if longest := rule.Longest(kind); longest > 0 {
		fmt.Fprintf(t, "longest life\t%s after each command\n", session.FormatDuration(longest))
	}
	if kind == policy.Session && rule.Absolute > 0 {
		fmt.Fprintf(t, "absolute\t%s after it began\n", session.FormatDuration(rule.Absolute.Round(time.Second)))
	}
	if kind == policy.Session && rule.Fence != policy.FenceOff {
		fmt.Fprintf(t, "fence\t%s, for %s after it was seen, answers %s\n", rule.Fence, session.FormatDuration(rule.FenceFor), rule.FenceAnswer())
		if rule.FenceHolds {
			fmt.Fprintf(t, "\talso after a miss\n")
		}
	}
	if kind == policy.Session && len(rule.Owner) > 0 {
		for i, path := range rule.Owner {
			fmt.Fprintf(t, "%s\t%s\n", []string{"owner", "or"}[min(i, 1)], path)
		}
		if rule.HashesOwners() {
			fmt.Fprintf(t, "kept\tas hashes of the owners' ids\n")
		}
		if rule.MaxPerOwner > 0 {
			fmt.Fprintf(t, "per owner\tat most %d sessions; a login more ends the oldest\n", rule.MaxPerOwner)
		}
	}
	if kind == policy.Lock && rule.Volatile {
		fmt.Fprintf(t, "kept\tin memory only\n")
		if rule.Park > 0 {
			fmt.Fprintf(t, "waits\tup to %s\n", session.FormatDuration(rule.Park))
		}
		if rule.FreeOnClose {
			fmt.Fprintf(t, "freed\twhen the connection ends that holds it\n")
		}
	}
	return t.Flush()
}
