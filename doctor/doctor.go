// Package doctor looks at what a Cairn server depends on and does not control:
// the disk, the clock, limits, memory, files that others must not read, and the nodes of
// its cluster.
//
// It only looks, but for one file in the data directory that it writes to measure
// the disk, and removes.
package doctor

import (
	"context"
	"errors"
	"time"
)

// Grade says how bad a finding is.
type Grade string

// The grades, from good to bad.
const (
	OK   Grade = "ok"
	Warn Grade = "warn" // it works, but not as well as it could, or not for long
	Fail Grade = "fail" // the server does not start, or clients will notice
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Grade  Grade  `json:"grade"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Options say what to look at. What is empty is left out.
type Options struct {
	Dir string // the data directory

	FailoverDir string // of the log

	// Reserve returns how many bytes writes must leave free on a file system of
	// total bytes.
	Reserve func(total int64) int64

	// Syncs is how many fdatasyncs of 4 KB are measured. Default: 200.
	Syncs int

	OpenFiles int // files that the server may have open at a time
	Backlog   int // connections that may wait to be accepted

	Memory      int64 // bytes that the server means to use
	MemoryLimit int64 // bytes that the machine and the control group allow

	// MemoryWarnings say in which way what was asked for does not fit.
	MemoryWarnings []string

	Certificates []string // files with certificates of servers
	Secrets      []string // files that other users must not read

	Cluster *Cluster // nil: the server has nothing to do with one

	Now func() time.Time // default: time.Now
}

// Examine makes all checks, and stops early, with what it has, if ctx ends.
func Examine(ctx context.Context, o Options) []Finding {
	if o.Syncs == 0 {
		o.Syncs = 200
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var all []Finding
	for _, check := range []func(context.Context, *Options) []Finding{
		directory, syncs, failover, openFiles, backlog, memoryLimit, clock, certificates, secrets, cluster,
	} {
		if ctx.Err() != nil {
			break
		}
		all = append(all, check(ctx, &o)...)
	}
	return all
}

// ErrFailed says that a finding is graded Fail.
var ErrFailed = errors.New("something needs to be done before Cairn can be relied upon; see above")

// Judge returns ErrFailed if any of the findings is graded Fail.
func Judge(findings []Finding) error {
	for _, f := range findings {
		if f.Grade == Fail {
			return ErrFailed
		}
	}
	return nil
}
