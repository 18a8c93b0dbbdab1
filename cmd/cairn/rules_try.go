package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/admincli"
	"cairn/policy"
)

// tryCommand shows whose the rules take a session to be.
func (p *program) tryCommand() *cobra.Command {
	var name string
	var flags uint32
	cmd := &cobra.Command{
		Use:   "try KEY [FILE] [flags of serve]",
		Short: "Show whose a stored session is by the rules",
		Long: "Show what the rules find as the owner of a session: the one that a running server has under KEY, which needs\n" +
			"a token of scope admin, or the value in FILE (- is the standard input). The rules are those of the same flags,\n" +
			"environment and file as the server's, so that a change can be tried before the server reads it.",
		Example: "  cairn rules try memc.sess.key.0123456789 --session-rules new.yaml\n" +
			"  cairn get sess:abc | cairn rules try sess:abc - --session-rules new.yaml",
		Args: arguments(1, 2),
	}
	client := admincli.ClientFlags(cmd, admincli.Environment{Stdout: p.stdout, Stderr: p.stderr, Getenv: p.getenv})
	cmd.Flags().StringVar(&name, "rule", "", "try the rule with this `name` instead of the one that applies to the key")
	cmd.Flags().Uint32Var(&flags, "value-flags", 0, "the client's flags of the value in FILE, in which libraries mark compression")
	cfg, load := p.configure(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := load(); err != nil {
			return err
		}
		rule, err := ruleToTry(cfg.Rules.Set(), args[0], name)
		if err != nil {
			return err
		}
		var value []byte
		if len(args) == 2 {
			value, err = readValue(args[1])
		} else {
			value, flags, err = fetchValue(cmd.Context(), client, args[0])
		}
		if err != nil {
			return err
		}
		return showOwner(p.stdout, rule, value, flags)
	}
	return cmd
}

// ruleToTry returns the rule with that name or, without one, the rule for key.
func ruleToTry(set *policy.Set, key, name string) (*policy.Rule, error) {
	rule := set.Owner([]byte(key))
	if name != "" {
		rule = nil
		for _, r := range set.Rules() {
			if r.Name == name {
				rule = r
			}
		}
		if rule == nil {
			return nil, fmt.Errorf("there is no rule %q", name)
		}
	}
	if rule == nil || len(rule.Owner) == 0 {
		return nil, fmt.Errorf("no rule says whose the session %q is: a rule does with owner", key)
	}
	return rule, nil
}

func readValue(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

func fetchValue(ctx context.Context, client func() (*adminapi.Client, error), key string) ([]byte, uint32, error) {
	c, err := client()
	if err != nil {
		return nil, 0, err
	}
	described, err := c.Session(ctx, []byte(key))
	if err != nil {
		return nil, 0, err
	}
	var value bytes.Buffer
	err = c.Value(ctx, []byte(key), &value)
	return value.Bytes(), described.Flags, err
}

var errNoOwner = errors.New("none of the rule's paths leads to an id in this value: nobody is logged in, or the paths are wrong")

func showOwner(w io.Writer, rule *policy.Rule, value []byte, flags uint32) error {
	id := rule.FindOwner(value, flags)
	if len(id) == 0 {
		return errNoOwner
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "rule\t%s\nowner\t%s\n", rule.Name, id)
	if kept := rule.OwnerOf(value, flags); !bytes.Equal(kept, id) {
		fmt.Fprintf(t, "kept as\t%s\n", kept)
	}
	return t.Flush()
}
