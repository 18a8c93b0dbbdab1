package config

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Setting describes one setting and the value it has.
type Setting struct {
	Name    string // long name of the flag, and the key in a file
	Short   string // memcached's letter, "" if it has none
	Env     string
	Group   string
	Type    string
	Usage   string
	Default string
	Value   string
	Origin  string // where Value came from; "default" if nobody set it
}

// Settings lists every setting in the order of the documentation. None of
// them is a secret: passwords and keys stay in the files that settings name.
func (c *Config) Settings() []Setting {
	var all []Setting
	for _, group := range Groups {
		c.flags.VisitAll(func(f *pflag.Flag) {
			if f.Annotations[annotation][0] == group {
				all = append(all, c.setting(f, group))
			}
		})
	}
	return all
}

func (c *Config) setting(f *pflag.Flag, group string) Setting {
	return Setting{
		Name: f.Name, Short: f.Shorthand, Env: EnvName(f.Name), Group: group,
		Type: typeOf(f), Usage: f.Usage,
		Default: strings.Trim(f.DefValue, "[]"),
		Value:   valueOf(f),
		Origin:  c.originOf(f),
	}
}

func typeOf(f *pflag.Flag) string {
	switch t := f.Value.Type(); t {
	case "stringSlice":
		return "list"
	case "bool":
		return "true|false"
	default:
		return t
	}
}

func valueOf(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ",")
	}
	return f.Value.String()
}

// originOf names the source of a value; what -o set came from where -o came
// from.
func (c *Config) originOf(f *pflag.Flag) string {
	if !f.Changed {
		return "default"
	}
	return cmp.Or(c.origin[f.Name], c.origin["extended"])
}

// WriteYAML writes the settings as a configuration file that gives the same
// values again. What has its default is commented out.
func (c *Config) WriteYAML(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Cairn's configuration. A flag wins over the environment (CAIRN_<NAME>), that\n" +
		"# over this file, that over the default. Commented lines show the defaults.\n")
	group := ""
	for _, s := range c.Settings() {
		if s.Group == Ignored || s.Name == "config" || s.Name == "extended" {
			continue
		}
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n# --- %s ---\n", group)
		}
		fmt.Fprintf(&b, "\n# %s\n", s.Usage)
		if s.Origin == "default" {
			b.WriteString("# ")
		}
		fmt.Fprintf(&b, "%s: %s", s.Name, yamlScalar(s))
		if s.Origin != "default" {
			fmt.Fprintf(&b, " # from %s", s.Origin)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yamlScalar(s Setting) string {
	switch s.Type {
	case "number", "count", "true|false", "seconds":
		return s.Value
	case "megabytes", "bytes":
		if _, err := strconv.ParseInt(s.Value, 10, 64); err == nil {
			return s.Value
		}
	}
	return strconv.Quote(s.Value)
}

// WriteMarkdown writes the reference of all settings, one table per group.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	group := ""
	for _, s := range New().Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n\n%s", group, tableHead(group))
		}
		b.WriteString(row(s))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func tableHead(group string) string {
	if group == Ignored {
		return "| Flag | Why it changes nothing |\n|---|---|\n"
	}
	return "| Flag | Environment | Form | Default | Meaning |\n|---|---|---|---|---|\n"
}

func row(s Setting) string {
	flag := "`--" + s.Name + "`"
	if s.Short != "" {
		flag = "`-" + s.Short + "`, " + flag
	}
	if s.Group == Ignored {
		return fmt.Sprintf("| %s | %s |\n", flag, s.Usage)
	}
	byDefault := ""
	if s.Default != "" {
		byDefault = "`" + s.Default + "`"
	}
	escape := strings.NewReplacer("|", `\|`).Replace
	return fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", flag, s.Env, escape(s.Type), byDefault, escape(s.Usage))
}

// Usage lists the flags for a terminal, group by group.
func (c *Config) Usage() string {
	var b strings.Builder
	for _, group := range Groups {
		part := pflag.NewFlagSet(group, pflag.ContinueOnError)
		part.SortFlags = false
		c.flags.VisitAll(func(f *pflag.Flag) {
			if f.Annotations[annotation][0] == group {
				part.AddFlag(f)
			}
		})
		fmt.Fprintf(&b, "%s:\n%s\n", group, part.FlagUsagesWrapped(100))
	}
	return b.String()
}
