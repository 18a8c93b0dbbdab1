package admincli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"
)

// profile is a server that commands speak to, and as whom. It has no secret: a token
// stands in a file of its own.
type profile struct {
	URL       string `json:"url"`
	TokenFile string `json:"token_file,omitempty"`
	CA        string `json:"ca,omitempty"`
	Cert      string `json:"cert,omitempty"`
	Key       string `json:"key,omitempty"`
}

// contexts are the profiles that a user has, by name.
type contexts struct {
	Current string             `json:"current"` // "": none
	All     map[string]profile `json:"contexts"`
}

const contextVariable = "CAIRN_CONTEXT"

// contextsFile returns where the contexts are.
func (a *app) contextsFile() (string, error) {
	if dir := a.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cairn", "contexts.json"), nil
	}
	if home := a.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "cairn", "contexts.json"), nil
	}
	return "", errors.New("there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is set")
}

// readContexts returns those that there are.
func (a *app) readContexts() (c contexts, err error) {
	c.All = map[string]profile{}
	file, err := a.contextsFile()
	if err != nil {
		return c, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("contexts: %s: %w", file, err)
	}
	if c.All == nil {
		c.All = map[string]profile{}
	}
	return c, nil
}

// writeContexts replaces the file.
func (a *app) writeContexts(c contexts) error {
	file, err := a.contextsFile()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".contexts-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(append(data, '\n'))
	if err = errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

// find returns the context with that name.
func (c *contexts) find(name string) (profile, error) {
	p, ok := c.All[name]
	if !ok {
		return p, fault{fmt.Errorf("there is no context %q; see cairn context ls", name), codeNotFound}
	}
	return p, nil
}

// contextOf returns the context that applies: the one that --context or CAIRN_CONTEXT
// names, else the current one, unless another server is named by a flag or by the
// environment. A context applies as a whole, so that no token goes to a server that it
// is not for. ok is false if none does.
func (a *app) contextOf() (p profile, ok bool, err error) {
	name := cmp.Or(a.server.context, a.Getenv(contextVariable))
	named := name != ""
	if !named && (a.server.url != "" || a.hasServerVariables()) {
		return p, false, nil
	}
	if _, err := a.contextsFile(); err != nil && !named {
		return p, false, nil // who has no home has no contexts
	}
	c, err := a.readContexts()
	switch {
	case err != nil:
		return p, false, err
	case !named && c.Current == "":
		return p, false, nil
	case !named:
		name = c.Current
	}
	p, err = c.find(name)
	return p, err == nil, err
}

// hasServerVariables reports whether the environment names a server or an identity.
func (a *app) hasServerVariables() bool {
	return slices.ContainsFunc([]string{urlVariable, tokenVariable, tokenFileVariable, caVariable, certVariable, keyVariable},
		func(name string) bool { return a.Getenv(name) != "" })
}

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Name servers, and choose the one that commands talk to",
		Long: "A context is a name for a server's address with the files that say who you are there. Commands use the current\n" +
			"one, or the one that --context or CAIRN_CONTEXT names. A context applies as a whole: where it does, variables such as\n" +
			"CAIRN_TOKEN are not looked at. Without --context, --url and those variables take the place of the current one.",
	}
	cmd.AddCommand(a.contextLsCommand(), a.contextSetCommand(), a.contextUseCommand(), a.contextRmCommand())
	return cmd
}

func (a *app) contextLsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List contexts",
		Example: "  cairn context ls",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.readContexts()
			if err != nil {
				return err
			}
			if a.json() {
				return printJSON(a.Stdout, &c)
			}
			t := newTable(a.Stdout)
			t.row("CURRENT", "NAME", "URL", "TOKEN FILE", "CERTIFICATE")
			for _, name := range slices.Sorted(maps.Keys(c.All)) {
				p, mark := c.All[name], ""
				if name == c.Current {
					mark = "*"
				}
				t.row(mark, name, p.URL, p.TokenFile, p.Cert)
			}
			return t.Flush()
		},
	}
}

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (a *app) contextSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "set NAME --url URL",
		Short:   "Store a context under a name, in place of the one that has it",
		Long:    "Store a context with the given --url, --token-file, --ca, --cert and --key. The first one becomes the current one.",
		Example: "  cairn context set shop --url https://sessions.example:8211 --token-file ~/.cairn-token --ca ca.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !contextName.MatchString(args[0]) {
				return usagef("a context's name has 1 to 63 letters, digits, dots, dashes and underscores, not %q", args[0])
			}
			p, err := a.newProfile()
			if err != nil {
				return err
			}
			c, err := a.readContexts()
			if err != nil {
				return err
			}
			c.All[args[0]] = p
			if c.Current == "" {
				c.Current = args[0]
			}
			return a.writeContexts(c)
		},
	}
}

// newProfile makes a profile of the flags.
func (a *app) newProfile() (p profile, err error) {
	if a.server.url == "" || a.server.context != "" {
		return p, usagef("a context needs --url, and is not made from another one")
	}
	p.URL = a.base()
	if u, err := url.Parse(p.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return p, usagef("--url is http:// or https:// and a host, not %q", a.server.url)
	}
	for _, file := range []struct {
		flag string
		to   *string
	}{{a.server.tokenFile, &p.TokenFile}, {a.server.ca, &p.CA}, {a.server.cert, &p.Cert}, {a.server.key, &p.Key}} {
		if file.flag == "" {
			continue
		}
		if *file.to, err = filepath.Abs(file.flag); err != nil {
			return p, err
		}
		if _, err := os.Stat(*file.to); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (a *app) contextUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a context the current one",
		Example:           "  cairn context use shop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(args[0], func(c *contexts) { c.Current = args[0] })
		},
	}
}

func (a *app) contextRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME",
		Short:             "Remove a context; the files that it names stay",
		Example:           "  cairn context rm shop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(args[0], func(c *contexts) {
				delete(c.All, args[0])
				if c.Current == args[0] {
					c.Current = ""
				}
			})
		},
	}
}

// changeContexts changes what there is about the context with that name.
func (a *app) changeContexts(name string, change func(*contexts)) error {
	c, err := a.readContexts()
	if err == nil {
		_, err = c.find(name)
	}
	if err != nil {
		return err
	}
	change(&c)
	return a.writeContexts(c)
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, err := a.readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.Sorted(maps.Keys(c.All)), cobra.ShellCompDirectiveNoFileComp
}
