package admincli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cairn/backup"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Save a consistent backup of a running server",
		Long: "Save a backup while the server goes on serving. FILE is - for standard output; without one it is named by the time. " +
			"The archive is checked as it comes, and only a whole one gets its name.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := time.Now().UTC().Format("cairn-20060102-150405") + ".tar.zst"
			if len(args) > 0 {
				name = args[0]
			}
			return a.backup(cmd, name)
		},
	}
}

// saved is what a backup came to.
type saved struct {
	File    string    `json:"file"`
	Bytes   int64     `json:"bytes"` // of the archive
	Files   int       `json:"files"`
	Store   int64     `json:"store_bytes"`
	Created time.Time `json:"created"`
}

func (a *app) backup(cmd *cobra.Command, name string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	archive, err := c.Backup(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	p := a.newProgress("backup", -1, true)
	defer p.end()
	result := saved{File: name}
	info, err := saveTo(name, a.Stdout, func(w io.Writer) (backup.Info, error) {
		counter := &countedWriter{Writer: w}
		info, err := backup.Verify(io.TeeReader(p.reader(archive), counter))
		result.Bytes = counter.n
		return info, err
	})
	if err != nil {
		return err
	}
	p.end()
	result.Files, result.Store, result.Created = info.Files, info.Bytes, info.Created
	switch {
	case name == "-":
		return nil
	case a.json():
		return printJSON(a.Stdout, &result)
	}
	fmt.Fprintf(a.Stdout, "%s: %s with %d files of %s\n", name, size(result.Bytes), info.Files, size(info.Bytes))
	return nil
}

type countedWriter struct {
	io.Writer
	n int64
}

func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n += int64(n)
	return n, err
}

func (a *app) restoreCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "restore FILE --data-dir DIRECTORY",
		Short: "Restore a backup into an empty directory",
		Long: "Check a backup (- is standard input), unpack it into a directory that is empty or absent, and verify the store in it. " +
			"The directory may be a mount point or a link to one. If anything is wrong with the backup or its store, nothing is left behind.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := cmp.Or(dir, a.Getenv(dataDirVariable))
			if dir == "" {
				return usagef("say where to with --data-dir or %s", dataDirVariable)
			}
			return a.restore(cmd.Context(), args[0], dir)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "`directory` to restore into; default: "+dataDirVariable+" of the environment")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}

// dataDirVariable is what the server takes its data directory from where no
// flag names one.
const dataDirVariable = "CAIRN_DATA_DIR"

// errDamagedStore says that files which arrived whole make no sound store.
var errDamagedStore = errors.New("the store in the backup is damaged; nothing was restored")

// restored is what a restore came to.
type restored struct {
	Dir      string    `json:"data_dir"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Created  time.Time `json:"created"`
	Version  string    `json:"version"`
	Problems []string  `json:"problems"`
}

func (a *app) restore(ctx context.Context, name, dir string) error {
	in, total, err := a.input(name)
	if err != nil {
		return err
	}
	defer in.Close()
	defer context.AfterFunc(ctx, func() { in.Close() })()
	p := a.newProgress("restore", total, true)
	result := restored{Dir: dir, Problems: []string{}}
	var found checkResult
	info, err := backup.Restore(p.reader(in), dir, func(staged string) (err error) {
		p.end()
		if found, err = a.verify(staged); err == nil && len(found.Problems) > 0 {
			err = errDamagedStore
		}
		return err
	})
	p.end()
	if errors.Is(err, errDamagedStore) {
		return errors.Join(err, a.problems(name, &found))
	}
	if err != nil {
		return err
	}
	result.Files, result.Bytes, result.Created, result.Version = info.Files, info.Bytes, info.Created, info.Version
	if a.json() {
		return printJSON(a.Stdout, &result)
	}
	fmt.Fprintf(a.Stdout, "%s: %d files of %s, backed up at %s by version %s\n",
		dir, info.Files, size(info.Bytes), moment(&info.Created), info.Version)
	return nil
}

// input opens a file to read and gives its size; - is standard input, of
// unknown size.
func (a *app) input(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return standardInput(a.Stdin), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	total := info.Size()
	if !info.Mode().IsRegular() {
		total = -1
	}
	return f, total, nil
}

// standardInput can be closed if r can.
func standardInput(r io.Reader) io.ReadCloser {
	if rc, ok := r.(io.ReadCloser); ok {
		return rc
	}
	return io.NopCloser(r)
}

// CheckProblem is something that a check finds; see engine.Problem.
type CheckProblem struct {
	Text, File string
	Key        []byte
	Why        string
	Lost       int64
}

// checkResult is what a check came to.
type checkResult struct {
	Dir      string   `json:"data_dir"`
	Problems []string `json:"problems"` // at most maxProblems, then a line with the number of others

	// The sessions among the problems: those named here, at most maxProblems, how many
	// there are, and how many are lost besides whose keys are not known.
	AtRisk      []sessionAtRisk `json:"at_risk"`
	AtRiskCount int             `json:"at_risk_count"`
	LostUnnamed int64           `json:"lost_unnamed"`

	count int // of problems
}

// sessionAtRisk is a session that a damaged file may have taken or changed.
type sessionAtRisk struct {
	lostSession
	File string `json:"file,omitempty"` // in the data directory; "": no single one is known
}

func (c *checkResult) add(p CheckProblem) {
	if c.count++; c.count <= maxProblems {
		c.Problems = append(c.Problems, p.Text)
	}
	c.LostUnnamed += p.Lost
	if p.Key == nil {
		return
	}
	if c.AtRiskCount++; c.AtRiskCount <= maxProblems {
		c.AtRisk = append(c.AtRisk, sessionAtRisk{lostBy(p.Key, p.Why), p.File})
	}
}

func (a *app) checkCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "check --data-dir DIRECTORY",
		Short: "Verify a store that no server has open",
		Long: "Read every file of a stopped store and verify checksums, records and counts. Nothing is changed. " +
			"Each session at risk is named once, with what is wrong; those whose keys are lost are counted. At most 1,000 problems are printed. " +
			"With -o json, at_risk lists the sessions at risk with key, reason and file. " +
			"The exit code is 1 if there are any problems; see cairn salvage.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := cmp.Or(dir, a.Getenv(dataDirVariable), "./cairn-data")
			found, err := a.verify(dir)
			if err != nil {
				return err
			}
			if a.json() {
				err = printJSON(a.Stdout, &found)
			} else if found.count == 0 {
				fmt.Fprintf(a.Stdout, "%s: no problems\n", dir)
			}
			return errors.Join(err, a.problems(dir, &found))
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "`directory` of the store; default: "+dataDirVariable+" of the environment, else ./cairn-data")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}

// maxProblems is how many problems are kept; a damaged table can have millions.
const maxProblems = 1000

// verify runs the offline check.
func (a *app) verify(dir string) (checkResult, error) {
	defer a.newSpinner("check")()
	found := checkResult{Dir: dir, Problems: []string{}, AtRisk: []sessionAtRisk{}}
	err := a.Check(dir, found.add)
	if more := found.count - len(found.Problems); more > 0 {
		found.Problems = append(found.Problems, fmt.Sprintf("and %d more", more))
	}
	return found, err
}

// problems prints them and fails if there are any.
func (a *app) problems(dir string, found *checkResult) error {
	if found.count == 0 {
		return nil
	}
	if !a.json() {
		for _, p := range found.Problems {
			fmt.Fprintln(a.Stdout, p)
		}
	}
	return fmt.Errorf("%s has %d problems", dir, found.count)
}
