package disk

import (
	"path"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/processors"
)

// pacer makes flushes, compactions and the removal of tables rest between pieces
// of work, so that requests get the processor and the disk in between. Left
// alone, one that has started takes every second time slice until it ends. They
// work on without rest while somebody waits for them, or when they fall behind.
type pacer struct {
	hurried atomic.Int32 // by how many
	behind  atomic.Bool  // see look
}

const (
	// restAfter is about how long a flush or a compaction works at a time.
	restAfter = 500 * time.Microsecond

	// restRatio is how long it rests, in terms of how long it has worked.
	restRatio = 2

	maxRest = 20 * time.Millisecond

	tableExt = ".sst"
	logExt   = ".log"

	// Writers wait for a flush when there are memtablesToWait memtables. Flushes
	// hurry from one less on.
	memtablesToWait = 4

	// Compactions begin when a key may be in compactAtSublevels tables above
	// the base level, which makes reads slow, and hurry at hurryAtSublevels.
	compactAtSublevels = 4
	hurryAtSublevels   = 2 * compactAtSublevels
)

// hurry makes what is under way and what is begun go on without rest, until calm.
func (p *pacer) hurry() {
	processors.Begin()
	p.hurried.Add(1)
}

func (p *pacer) calm() {
	p.hurried.Add(-1)
	processors.End()
}

// look finds out whether flushes or compactions fall behind what is written.
func (p *pacer) look(m *pebble.Metrics) {
	p.fallBehind(m.MemTable.Count >= memtablesToWait-1 || m.Levels[0].Sublevels >= hurryAtSublevels)
}

// fallBehind notes whether they do.
func (p *pacer) fallBehind(behind bool) {
	switch was := p.behind.Swap(behind); {
	case behind && !was:
		processors.Begin()
	case was && !behind:
		processors.End()
	}
}

// rest is called by who has worked for that long.
func (p *pacer) rest(worked time.Duration) {
	if p.hurried.Load() == 0 && !p.behind.Load() {
		time.Sleep(min(restRatio*worked, maxRest))
	}
}

// pacedFS is a file system on which those who write and remove tables rest.
type pacedFS struct {
	vfs.FS
	pacer *pacer
}

func (fs pacedFS) Unwrap() vfs.FS { return fs.FS }

func (fs pacedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || path.Ext(name) != tableExt {
		return f, err
	}
	return &pacedFile{File: f, pacer: fs.pacer, since: time.Now()}, nil
}

// Remove removes a file. A table of some megabytes takes the kernel milliseconds,
// and a bucket has many.
func (fs pacedFS) Remove(name string) error {
	begun := time.Now()
	err := fs.FS.Remove(name)
	if path.Ext(name) == tableExt {
		fs.pacer.rest(time.Since(begun))
	}
	return err
}

// pacedFile is a table being written, by one goroutine.
type pacedFile struct {
	vfs.File
	pacer *pacer
	since time.Time // when the writer went to work
}

// Write writes p. What lies between two writes is work on what is written.
func (f *pacedFile) Write(p []byte) (n int, err error) {
	n, err = f.File.Write(p)
	if worked := time.Since(f.since); worked >= restAfter {
		f.pacer.rest(worked)
		f.since = time.Now()
	}
	return n, err
}
