package admincli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"cairn/backup"
)

// maxLost is how many sessions a salvage names; more are counted.
const maxLost = 1000

// SalvageJob says what a salvage is to do.
type SalvageJob struct {
	From, To, Scratch string // directories; see engine.SalvageOptions
	Uncertain         bool   // copy sessions of which a newer change may be lost

	Problem func(problem string)         // is told what is damaged
	Lost    func(key []byte, why string) // is told what is not copied
}

// SalvageResult is what a salvage came to.
type SalvageResult struct {
	Sessions, Bytes            int64 // copied
	Unreadable, Uncertain      int64
	Missing                    int64  // in all; -1: unknown
	Changes                    uint64 // that logs lack
	Complete, DeletedMayReturn bool
}

func (a *app) salvageCommand() *cobra.Command {
	uncertain := false
	cmd := &cobra.Command{
		Use:   "salvage FROM TO",
		Short: "Copy what can be read of a damaged store into a new one",
		Long: "Read the damaged data directory FROM, which no server has open and in which nothing is changed, and copy every session that can be read " +
			"into a new store in the directory TO, which is empty or absent. What is lost is named as far as its keys are known. " +
			"A session of which a newer change may be lost is left out, since it may have been changed or deleted, unless --uncertain is set. " +
			"TO needs about twice the space that the sessions take. " +
			"The exit code is 1 if anything was left out; the new store is complete and in its place all the same. If there is no new store, the last line says why.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.salvage(cmd.Context(), args[0], args[1], uncertain)
		},
	}
	cmd.Flags().BoolVar(&uncertain, "uncertain", false, "copy sessions of which a newer change may be lost, too")
	return cmd
}

// lostSession is one that was not copied.
type lostSession struct {
	Key string `json:"key,omitempty"`
	// KeyBase64 stands for a key that is not UTF-8.
	KeyBase64 []byte `json:"key_base64,omitempty"`
	Why       string `json:"why"`
}

// salvaged is what a salvage came to.
type salvaged struct {
	From             string        `json:"from"`
	To               string        `json:"data_dir"`
	Sessions         int64         `json:"sessions"`
	Bytes            int64         `json:"bytes"`
	Unreadable       int64         `json:"unreadable"`
	Uncertain        int64         `json:"uncertain"`
	Missing          *int64        `json:"missing"` // null: unknown
	LostChanges      uint64        `json:"lost_changes"`
	DeletedMayReturn bool          `json:"deleted_may_return"`
	Complete         bool          `json:"complete"`
	Problems         []string      `json:"problems"`
	Lost             []lostSession `json:"lost"` // at most maxLost
}

// errSalvagedInPart says that a salvage has made a store, but not of everything.
var errSalvagedInPart = errors.New("the new store is in place, but something was left out")

func (a *app) salvage(ctx context.Context, from, to string, uncertain bool) error {
	if within(from, to) {
		return usagef("%s is inside of %s: name another directory for the new store", to, from)
	}
	result := salvaged{From: from, To: to, Problems: []string{}, Lost: []lostSession{}}
	more := 0
	stop := a.newSpinner("salvage")
	var got SalvageResult
	err := backup.Fill(to, func(staged string) (err error) {
		got, err = a.Salvage(ctx, &SalvageJob{
			From: from, To: staged, Scratch: staged + "-sorting", Uncertain: uncertain,
			Problem: func(problem string) {
				if len(result.Problems) < maxProblems {
					result.Problems = append(result.Problems, problem)
				} else {
					more++
				}
			},
			Lost: func(key []byte, why string) {
				if len(result.Lost) < maxLost {
					result.Lost = append(result.Lost, lostBy(key, why))
				}
			},
		})
		if err != nil {
			return err
		}
		return a.Check(staged, func(p CheckProblem) { err = errors.Join(err, fmt.Errorf("the new store is not sound: %s", p.Text)) })
	})
	stop()
	if err != nil {
		return err
	}
	if more > 0 {
		result.Problems = append(result.Problems, fmt.Sprintf("and %d more", more))
	}
	result.fill(&got)
	if a.json() {
		err = printJSON(a.Stdout, &result)
	} else {
		a.printSalvaged(&result, uncertain)
	}
	if !got.Complete {
		err = errors.Join(err, errSalvagedInPart)
	}
	return err
}

func (r *salvaged) fill(got *SalvageResult) {
	r.Sessions, r.Bytes, r.Unreadable, r.Uncertain = got.Sessions, got.Bytes, got.Unreadable, got.Uncertain
	r.LostChanges, r.DeletedMayReturn, r.Complete = got.Changes, got.DeletedMayReturn, got.Complete
	if got.Missing >= 0 {
		r.Missing = &got.Missing
	}
}

// printSalvaged prints it for people.
func (a *app) printSalvaged(r *salvaged, uncertain bool) {
	for _, p := range r.Problems {
		fmt.Fprintln(a.Stdout, p)
	}
	for _, l := range r.Lost {
		fmt.Fprintf(a.Stdout, "left out: %s: %s\n", l.name(), l.Why)
	}
	left := r.Unreadable
	if !uncertain {
		left += r.Uncertain
	}
	if unnamed := left - int64(len(r.Lost)); unnamed > 0 {
		fmt.Fprintf(a.Stdout, "left out: %d more that are not named here\n", unnamed)
	}
	fmt.Fprintf(a.Stdout, "%s: %d sessions of %s\n", r.To, r.Sessions, size(r.Bytes))
	if left > 0 {
		fmt.Fprintf(a.Stdout, "left out with their keys known: %d unreadable, %d uncertain\n", r.Unreadable, left-r.Unreadable)
	}
	if uncertain && r.Uncertain > 0 {
		fmt.Fprintf(a.Stdout, "copied though a newer change may be lost: %d\n", r.Uncertain)
	}
	switch {
	case r.Missing == nil && !r.Complete:
		fmt.Fprintln(a.Stdout, "how many sessions are missing in all is not known")
	case r.Missing != nil && *r.Missing > 0:
		fmt.Fprintf(a.Stdout, "missing in all, by the store's own count: %d\n", *r.Missing)
	}
	if r.LostChanges > 0 {
		fmt.Fprintf(a.Stdout, "the logs lack %d changes\n", r.LostChanges)
	}
	if r.DeletedMayReturn {
		fmt.Fprintln(a.Stdout, "the damage may have taken what tells that a session was changed or deleted: some may be out of date or back")
	}
}

func lostBy(key []byte, why string) lostSession {
	if utf8.Valid(key) {
		return lostSession{Key: string(key), Why: why}
	}
	return lostSession{KeyBase64: bytes.Clone(key), Why: why}
}

func (l *lostSession) name() string {
	if l.Key != "" {
		return fmt.Sprintf("%q", l.Key)
	}
	return fmt.Sprintf("%q", l.KeyBase64)
}

// within reports whether a directory is another one or in it.
func within(outer, inner string) bool {
	outer, err := filepath.Abs(outer)
	if err != nil {
		return false
	}
	inner, err = filepath.Abs(inner)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(outer, inner)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
