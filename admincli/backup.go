package admincli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// saveTo lets write fill a file that gets its name only when it is whole and
// on disk; - stands for stdout. A file that is there already is left alone.
func saveTo[T any](name string, stdout io.Writer, write func(io.Writer) (T, error)) (result T, err error) {
	if name == "-" {
		return write(stdout)
	}
	if _, err := os.Lstat(name); err == nil {
		return result, fmt.Errorf("%s is there already", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return result, err
	}
	defer os.Remove(f.Name())
	result, err = write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return result, err
	}
	return result, os.Link(f.Name(), name)
}

func (a *app) restoreCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "restore FILE --data-dir DIRECTORY",
		Short: "Bring a backup up in an empty directory",
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
	info, err := backup.Restore(p.reader(in), dir, func(staged string) (err error) {
		p.end()
		if result.Problems, err = a.verify(staged); err == nil && len(result.Problems) > 0 {
			err = errDamagedStore
		}
		return err
	})
	p.end()
	if errors.Is(err, errDamagedStore) {
		return errors.Join(err, a.problems(name, result.Problems))
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

func (a *app) checkCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "check --data-dir DIRECTORY",
		Short: "Verify a store that no server has open",
		Long:  "Read every file of a stopped store and verify checksums, records and counts. Nothing is changed. The exit code is 1 if there are problems.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := cmp.Or(dir, a.Getenv(dataDirVariable), "./cairn-data")
			problems, err := a.verify(dir)
			if err != nil {
				return err
			}
			if a.json() {
				err = printJSON(a.Stdout, map[string]any{"data_dir": dir, "problems": problems})
			} else if len(problems) == 0 {
				fmt.Fprintf(a.Stdout, "%s: no problems\n", dir)
			}
			return errors.Join(err, a.problems(dir, problems))
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "`directory` of the store; default: "+dataDirVariable+" of the environment, else ./cairn-data")
	_ = cmd.MarkFlagDirname("data-dir")
	return cmd
}

// maxProblems is how many problems are kept; a damaged table can give millions.
const maxProblems = 1000

// verify runs the offline check.
func (a *app) verify(dir string) ([]string, error) {
	defer a.newSpinner("check")()
	problems, more := []string{}, 0
	err := a.Check(dir, func(problem string) {
		if len(problems) < maxProblems {
			problems = append(problems, problem)
		} else {
			more++
		}
	})
	if more > 0 {
		problems = append(problems, fmt.Sprintf("and %d more", more))
	}
	return problems, err
}

// problems says them and fails if there are any.
func (a *app) problems(dir string, problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	if !a.json() {
		for _, p := range problems {
			fmt.Fprintln(a.Stdout, p)
		}
	}
	return fmt.Errorf("%s has %d problems", dir, len(problems))
}
