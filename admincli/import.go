package admincli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cairn/adminapi"
	"cairn/migrate"
	"cairn/tlsconfig"
)

// importFlags are those of import.
type importFlags struct {
	keep                        bool
	memcached, redis, match     string
	phpFiles, prefix            string
	ttl                         duration
	format                      string
	authority, certificate, key string
}

func (f *importFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.keep, "keep", false, "do not overwrite sessions that the server already has")
	flags.StringVar(&f.memcached, "from-memcached", "", "`address` of a memcached to import from")
	flags.StringVar(&f.redis, "from-redis", "", "`address` of a Redis to import from")
	flags.StringVar(&f.match, "match", "", "only Redis keys that match this glob `pattern`")
	flags.StringVar(&f.phpFiles, "from-php-files", "", "`directory` of PHP's session files (session.save_path)")
	flags.StringVar(&f.prefix, "prefix", "memc.sess.key.", "text before the id of a PHP session in its key")
	f.ttl = duration(24 * time.Minute)
	flags.Var(&f.ttl, "ttl", "how long a PHP session lives after its file was written (session.gc_maxlifetime)")
	flags.StringVar(&f.format, "format", "ndjson", "`format` of the file: ndjson, or tsv (key, expiry in seconds since 1970 or 0, base64 value)")
	flags.StringVar(&f.authority, "from-ca", "", "trust the authorities in this PEM `file` for the TLS of the source, not the system's")
	flags.StringVar(&f.certificate, "from-cert", "", "client certificate for the source, PEM `file`")
	flags.StringVar(&f.key, "from-key", "", "key of --from-cert, PEM `file`")
	cmd.MarkFlagsMutuallyExclusive("from-memcached", "from-redis", "from-php-files")
	cmd.MarkFlagsRequiredTogether("from-cert", "from-key")
}

// check reports flags that do not go together.
func (f *importFlags) check(cmd *cobra.Command, args []string) error {
	server := f.memcached + f.redis
	for _, c := range []struct{ flag, needs string }{
		{"match", f.redis}, {"prefix", f.phpFiles}, {"ttl", f.phpFiles},
		{"from-ca", server}, {"from-cert", server},
	} {
		if cmd.Flags().Changed(c.flag) && c.needs == "" {
			return usagef("--%s does not go with this source", c.flag)
		}
	}
	switch {
	case len(args) > 0 && server+f.phpFiles != "":
		return usagef("name one source: a file, a server or a directory")
	case f.format != "ndjson" && f.format != "tsv":
		return usagef("--format is ndjson or tsv, not %q", f.format)
	case f.format == "tsv" && server+f.phpFiles != "":
		return usagef("--format goes with a file")
	case f.ttl <= 0:
		return usagef("--ttl must be positive")
	}
	return nil
}

func (a *app) importCommand() *cobra.Command {
	var flags importFlags
	cmd := &cobra.Command{
		Use:   "import [FILE] | --from-memcached ADDRESS | --from-redis ADDRESS | --from-php-files DIR",
		Short: "Store sessions from a file or another server",
		Long: "Store the sessions of an export (FILE, or standard input; gzip and zstd are recognized), of a running memcached 1.6 or Redis, " +
			"or of PHP's session files, with the time they have left. An import can be repeated. What cannot be stored is named and " +
			"left out; the exit code is 1 then.\n\n" +
			"The address of a memcached is HOST:PORT, memcached://USER:PASSWORD@HOST:PORT (authfile), memcacheds://... (TLS) or unix:///PATH. " +
			"The address of a Redis is HOST:PORT, redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss://... (TLS) or unix:///PATH?db=N; " +
			"its strings are taken. Write special characters of a password as %XX (a colon is %3A).",
		Example: "  cairn import sessions.ndjson.gz\n" +
			"  cairn import --from-memcached old-host:11211\n" +
			"  cairn import --from-redis rediss://:secret@old-host:6380/0 --from-ca ca.pem --match 'sess:*'\n" +
			"  cairn import --from-php-files /var/lib/php/sessions --ttl 24m\n" +
			"  mysql -B -N -e 'SELECT id, expires, TO_BASE64(data) FROM sessions' | cairn import --format tsv",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(cmd, args); err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			m := &importing{app: a, client: c, flags: &flags}
			return m.run(cmd.Context(), append(args, "-")[0])
		},
	}
	flags.add(cmd)
	return cmd
}

// importing is one import.
type importing struct {
	*app
	client  *adminapi.Client
	flags   *importFlags
	leftOut leftOut

	maxValue int64 // bytes, what the server takes
	tooLarge int64
	out      *json.Encoder
	sessions *progress
}

// imported is what an import came to.
type imported struct {
	adminapi.ImportResult
	Gone       int64 `json:"gone"`       // ended while they were read
	Unsuitable int64 `json:"unsuitable"` // not strings, or keys too long
}

// run imports from where the flags say, or from the file.
func (m *importing) run(ctx context.Context, file string) error {
	m.leftOut.to = m.Stderr
	f := m.flags
	config, err := tlsconfig.Client(f.authority, f.certificate, f.key)
	if err != nil {
		return err
	}
	options := migrate.Options{TLS: config, Match: f.match, Skipped: m.leftOut.add}
	switch {
	case f.memcached != "":
		return m.from(ctx, func(ctx context.Context) (migrate.Summary, error) {
			return migrate.Memcached(ctx, f.memcached, options, m.emit)
		})
	case f.redis != "":
		return m.from(ctx, func(ctx context.Context) (migrate.Summary, error) {
			return migrate.Redis(ctx, f.redis, options, m.emit)
		})
	case f.phpFiles != "":
		return m.from(ctx, func(ctx context.Context) (migrate.Summary, error) {
			return migrate.PHPFiles(ctx, f.phpFiles, f.prefix, time.Duration(f.ttl), options, m.emit)
		})
	}
	return m.file(ctx, file, options)
}

// file imports a file, or standard input if its name is "-".
func (m *importing) file(ctx context.Context, name string, options migrate.Options) error {
	in, total, err := m.input(name)
	if err != nil {
		return err
	}
	defer in.Close()
	read := m.newProgress("import", total, true)
	defer read.end()
	plain, err := decompress(read.reader(in))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer plain.Close()
	if m.flags.format == "tsv" {
		m.sessions = &progress{} // the bytes are shown
		return m.from(ctx, func(ctx context.Context) (migrate.Summary, error) {
			return migrate.TSV(ctx, plain, options, m.emit)
		})
	}
	source := &faultyReader{Reader: plain}
	result, err := m.client.Import(ctx, source, m.flags.keep)
	read.end()
	switch {
	case source.fault() != nil:
		return fmt.Errorf("%s: %w", name, source.fault())
	case err != nil:
		return err
	}
	for _, s := range result.Skipped {
		m.leftOut.line(&s)
	}
	return m.report(&imported{ImportResult: result})
}

// errLeftOut makes the exit code tell that an import is not complete.
var errLeftOut = errors.New("not all sessions were stored; see above")

func (m *importing) report(result *imported) error {
	if err := m.print(result); err != nil {
		return err
	}
	if result.Unsuitable+result.TooLarge > 0 {
		return errLeftOut
	}
	return nil
}

func (m *importing) print(result *imported) error {
	if m.json() {
		return printJSON(m.Stdout, result)
	}
	t := newTable(m.Stdout)
	t.row("stored", count(result.Stored))
	for _, line := range []struct {
		name string
		n    int64
	}{
		{"kept as they were", result.Kept}, {"expired", result.Expired}, {"gone meanwhile", result.Gone},
		{"unsuitable", result.Unsuitable}, {"too large", result.TooLarge},
	} {
		if line.n > 0 {
			t.row(line.name, count(line.n))
		}
	}
	return t.Flush()
}
