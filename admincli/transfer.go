package admincli

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"cairn/httpapi"
	"cairn/migrate"
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
			query, err := filter.query(time.Now())
			if err != nil {
				return err
			}
			if !noValues {
				query.Set("values", "true")
			}
			name := "-"
			if len(args) > 0 {
				name = args[0]
			}
			return a.export(cmd, c, name, query)
		},
	}
	filter.add(cmd)
	cmd.Flags().BoolVar(&noValues, "no-values", false, "leave the values out; a token of scope read will do")
	return cmd
}

func (a *app) export(cmd *cobra.Command, c *client, name string, query url.Values) error {
	total := int64(-1)
	if stats, err := c.stats(cmd.Context()); err == nil && len(query) <= 1 {
		total = stats.Sessions.Items
	}
	resp, err := c.open(cmd.Context(), "GET", "/v1/export", query, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	p := a.newProgress("export", total, false)
	defer p.end()
	lines, err := saveTo(name, a.Stdout, func(w io.Writer) (int64, error) {
		counter := &lineCounter{Writer: w, progress: p}
		_, err := io.Copy(counter, resp.Body)
		return counter.lines, err
	})
	if err != nil {
		return fmt.Errorf("the export is not whole: %w", err)
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

func (a *app) importCommand() *cobra.Command {
	var keep bool
	var memcached, redis, match string
	cmd := &cobra.Command{
		Use:   "import [FILE] | --from-memcached HOST:PORT | --from-redis ADDRESS",
		Short: "Store sessions from a file or another server",
		Long: "Store the sessions of an export (FILE, or standard input), or take over those of a running memcached 1.6 or Redis " +
			"with the time they have left. Doing it again does no harm.\n\n" +
			"A Redis is given as host:port or redis://user:password@host:port/database (rediss:// for TLS); its strings are taken.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if match != "" && redis == "" {
				return errors.New("--match goes with --from-redis")
			}
			if len(args) > 0 && memcached+redis != "" {
				return errors.New("give either a file or a server")
			}
			m := &importing{app: a, client: c, keep: keep, match: match}
			switch {
			case memcached != "":
				return m.from(cmd.Context(), memcached, m.memcached)
			case redis != "":
				return m.from(cmd.Context(), redis, m.redis)
			case len(args) > 0:
				return m.file(cmd.Context(), args[0])
			}
			return m.file(cmd.Context(), "-")
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave sessions alone that the server has already")
	cmd.Flags().StringVar(&memcached, "from-memcached", "", "`address` of a memcached to take the sessions of")
	cmd.Flags().StringVar(&redis, "from-redis", "", "`address` of a Redis to take the sessions of")
	cmd.Flags().StringVar(&match, "match", "", "only Redis keys that match this glob `pattern`")
	cmd.MarkFlagsMutuallyExclusive("from-memcached", "from-redis")
	return cmd
}

// importing is one import.
type importing struct {
	*app
	client *client
	keep   bool
	match  string

	maxValue int64 // bytes, what the server takes
	tooLarge int64
	out      *json.Encoder
	progress *progress
}

// imported is what an import came to.
type imported struct {
	httpapi.ImportResult
	Gone       int64 `json:"gone"`       // ended while they were read
	Unsuitable int64 `json:"unsuitable"` // not strings, or keys too long
	TooLarge   int64 `json:"too_large"`  // for this server
}

// send uploads NDJSON.
func (m *importing) send(ctx context.Context, body io.Reader) (result httpapi.ImportResult, err error) {
	query := url.Values{}
	if m.keep {
		query.Set("keep", "true")
	}
	resp, err := m.client.open(ctx, "POST", "/v1/import", query, "application/x-ndjson", body)
	if err != nil {
		return result, err
	}
	defer resp.Body.Close()
	return result, json.NewDecoder(resp.Body).Decode(&result)
}

func (m *importing) file(ctx context.Context, name string) error {
	in, total, err := m.input(name)
	if err != nil {
		return err
	}
	defer in.Close()
	m.progress = m.newProgress("import", total, true)
	result, err := m.send(ctx, m.progress.reader(in))
	m.progress.end()
	if err != nil {
		return err
	}
	return m.report(&imported{ImportResult: result})
}

// from reads another server and uploads at the same time.
func (m *importing) from(ctx context.Context, address string, read func(ctx context.Context, address string) (migrate.Summary, error)) error {
	var info httpapi.ServerInfo
	if err := m.client.call(ctx, "GET", "/v1/server", nil, nil, &info); err != nil {
		return err
	}
	m.maxValue = int64(info.MaxValueSize)
	m.progress = m.newProgress("import", -1, false)
	defer m.progress.end()

	body, writer := io.Pipe()
	buffered := bufio.NewWriterSize(writer, 64<<10)
	m.out = json.NewEncoder(buffered)
	var summary migrate.Summary
	var readErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		summary, readErr = read(ctx, address)
		writer.CloseWithError(errors.Join(readErr, buffered.Flush()))
	}()
	result, sendErr := m.send(ctx, body)
	body.CloseWithError(io.ErrClosedPipe) // lets read end if the server has
	<-done
	m.progress.end()
	if readErr != nil && !errors.Is(readErr, io.ErrClosedPipe) {
		return readErr
	}
	if sendErr != nil {
		return sendErr
	}
	return m.report(&imported{
		ImportResult: result, Gone: summary.Gone, Unsuitable: summary.Unsuitable, TooLarge: m.tooLarge,
	})
}

func (m *importing) memcached(ctx context.Context, address string) (migrate.Summary, error) {
	return migrate.Memcached(ctx, address, m.emit)
}

func (m *importing) redis(ctx context.Context, address string) (migrate.Summary, error) {
	return migrate.Redis(ctx, address, m.match, m.emit)
}

// emit uploads one session of another server.
func (m *importing) emit(total int64, r *migrate.Record) error {
	m.progress.setTotal(total)
	m.progress.add(1)
	if int64(len(r.Value)) > m.maxValue {
		m.tooLarge++
		return nil
	}
	value := base64.StdEncoding.EncodeToString(r.Value)
	record := httpapi.Record{KeyBase64: encodeKey(r.Key), ValueBase64: &value, Flags: r.Flags}
	if r.Expires.IsZero() {
		record.NeverExpires = true
	} else {
		record.ExpiresAt = &r.Expires
	}
	return m.out.Encode(&record)
}

func (m *importing) report(result *imported) error {
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
