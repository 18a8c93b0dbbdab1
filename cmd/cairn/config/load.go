package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every setting in the environment: --data-dir is
// CAIRN_DATA_DIR.
const EnvPrefix = "CAIRN_"

// otherVariables begin with EnvPrefix and mean something, but are no settings:
// all but the first are for the commands that ask a running server.
var otherVariables = []string{tokensVariable, "CAIRN_URL", "CAIRN_TOKEN", "CAIRN_TOKEN_FILE",
	"CAIRN_CA", "CAIRN_CERT", "CAIRN_KEY", "CAIRN_CONTEXT"}

// EnvName is the environment's name of a flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Load completes c, whose flags have been parsed, with what environ (as
// os.Environ gives it) and the configuration file say. A flag wins over the
// environment, that over the file, that over the default. It reports every
// fault it finds, with its place.
func (c *Config) Load(environ []string) error {
	c.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			c.origin[f.Name] = "command line"
		}
	})
	if err := c.loadEnvironment(environ); err != nil {
		return err
	}
	if c.File != "" {
		if err := c.loadFile(c.File); err != nil {
			return err
		}
	}
	c.adopt(variables(environ))
	return c.validate()
}

func (c *Config) loadEnvironment(environ []string) error {
	k := koanf.New("\x00")
	err := k.Load(env.Provider("\x00", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			flag := strings.ToLower(strings.TrimPrefix(name, EnvPrefix))
			return strings.ReplaceAll(flag, "_", "-"), value
		},
	}), nil)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(k.All())) {
		value := k.String(name)
		if slices.Contains(otherVariables, EnvName(name)) || fromKubernetes(name, value) {
			continue
		}
		if c.flags.Lookup(name) == nil {
			c.Warnings = append(c.Warnings, EnvName(name)+" is set in the environment but names no setting")
			continue
		}
		if err := c.set(name, value, EnvName(name)+" in the environment"); err != nil {
			return err
		}
	}
	return nil
}

// fromKubernetes reports whether a variable is one that Kubernetes sets for a
// service called "cairn": CAIRN_PORT=tcp://10.0.0.7:11211, CAIRN_SERVICE_HOST.
func fromKubernetes(name, value string) bool {
	return strings.HasPrefix(name, "service-") || strings.HasPrefix(name, "port-") ||
		name == "port" && strings.Contains(value, "://")
}

func (c *Config) loadFile(path string) error {
	parser, err := parserFor(path)
	if err != nil {
		return err
	}
	// No setting's name contains the delimiter, so nothing nests.
	k := koanf.New("\x00")
	if err := k.Load(file.Provider(path), parser); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Raw())) {
		flag := c.flags.Lookup(name)
		if flag == nil || flag.Name == "config" {
			return fmt.Errorf("configuration file %s: there is no setting %q", path, name)
		}
		text, err := fileText(flag, k.Get(name))
		if err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", path, name, err)
		}
		if err := c.set(flag.Name, text, path); err != nil {
			return err
		}
	}
	return nil
}

func parserFor(path string) (koanf.Parser, error) {
	switch filepath.Ext(path) {
	case ".yaml", ".yml":
		return yaml.Parser(), nil
	case ".toml":
		return toml.Parser(), nil
	}
	return nil, fmt.Errorf("configuration file %s: its name must end in .yaml, .yml or .toml", path)
}

// fileText is a file's value as the flag would be given it.
func fileText(flag *pflag.Flag, value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", fmt.Errorf("has no value")
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			texts[i] = fmt.Sprint(element)
		}
		return strings.Join(texts, ","), nil
	case map[string]any:
		return "", fmt.Errorf("must be a plain value, not a section")
	case string:
		return v, nil
	}
	if flag.Value.Type() == kindMode {
		return "", fmt.Errorf(`must be in quotes, such as "700": what a bare number means differs from format to format`)
	}
	return fmt.Sprint(value), nil
}

// set gives a flag a value unless a stronger source already did.
func (c *Config) set(name, value, origin string) error {
	name = c.flags.Lookup(name).Name
	if c.flags.Changed(name) {
		return nil
	}
	if err := c.flags.Set(name, value); err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	c.origin[name] = origin
	return nil
}

func variables(environ []string) map[string]string {
	all := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}
