package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// Open opens the log of a directory, or makes one. It finds every record that a
// Sync has called durable, and perhaps some that were only appended; those are
// durable when it returns. What a crash has torn at the end is cut off. If a
// record was durable and cannot be read, the error is a DamageError; if a newer
// version of the program has written the log, a FormatError.
func Open(o Options) (l *Log, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	l = &Log{
		o: o, start: time.Now(),
		pending: new(batch), flying: emptyBatch,
		wake: make(chan struct{}, 1), tidy: make(chan struct{}, 1), flushed: make(chan struct{}),
	}
	l.room.L = &l.mu
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.opening = true
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.opening = false
	go l.run()
	l.running.Go(func() { l.keep(ctx) })
	if l.failover != nil {
		l.running.Go(func() { l.watch(ctx) })
	}
	return l, nil
}

func (l *Log) open() error {
	l.home = l.directory(l.o.Dir)
	if l.o.FailoverDir != "" {
		l.failover = l.directory(l.o.FailoverDir)
	}
	for _, d := range l.directories() {
		if err := d.fs.MkdirAll(d.path, 0o750); err != nil {
			return err
		}
		lock, err := d.fs.Lock(d.join("LOCK"))
		if err != nil {
			return fmt.Errorf("log: %s is in use: %w", d.path, err)
		}
		l.locks = append(l.locks, lock)
	}
	names := map[*directory][]string{}
	for _, d := range l.directories() {
		list, err := d.fs.List(d.path)
		if err != nil {
			return err
		}
		names[d] = list
	}
	if err := l.identify(names); err != nil {
		return err
	}
	if err := l.recover(names); err != nil {
		return err
	}
	for _, d := range l.directories() {
		if err := d.adopt(names[d]); err != nil {
			return err
		}
		if err := d.choosePath(); err != nil {
			return err
		}
	}
	l.pending.first = l.next
	l.active = l.home
	err := l.rotate(l.home, 0)
	if durable.Passing(err) { // it can be read; the flusher tries again when there is something to write
		l.o.Logger.Warn("the commit log waits for disk space", "error", err)
		return nil
	}
	return err
}

func (l *Log) directory(path string) *directory {
	return &directory{path: path, fs: l.o.FS, o: &l.o}
}

// choosePath decides how to write to d. Only the operating system's own file
// system has a direct way.
func (d *directory) choosePath() (err error) {
	if d.fs != vfs.Default || d.o.SyncPath == SyncBuffered {
		return nil
	}
	faster := d.o.SyncPath == SyncDirect
	if !faster {
		faster, err = measure(d.fs, d.path)
	}
	d.direct.Store(faster)
	if durable.Passing(err) {
		return nil // the disk is full: there is no choice to be made now
	}
	return err
}

// identify reads whose directories these are, or writes it. The log's own
// directory knows of the failover directory before that has anything.
func (l *Log) identify(names map[*directory][]string) error {
	i, known, err := readIdentity(l.o.FS, l.home.path)
	if err != nil {
		return err
	}
	if !known && slices.ContainsFunc(names[l.home], isSegment) {
		return &DamageError{Path: l.home.join(identityName), Reason: "it is missing, though there are segments"}
	}
	if !known {
		i.id = newID()
	}
	l.id = i.id
	marked, err := l.ownFailover(known)
	if err != nil {
		return err
	}
	if i.failover != "" && i.failover != l.o.FailoverDir {
		if err := l.leftBehind(i.failover); err != nil {
			return err
		}
	}
	if !known || i.failover != l.o.FailoverDir {
		i.failover = l.o.FailoverDir
		if err := writeIdentity(l.o.FS, l.home.path, i); err != nil {
			return err
		}
	}
	if l.failover == nil || marked {
		return nil
	}
	return writeIdentity(l.o.FS, l.failover.path, identity{id: l.id})
}

// ownFailover reports whether the failover directory says that it is this log's.
// It is an error if it says something else.
func (l *Log) ownFailover(known bool) (marked bool, err error) {
	if l.failover == nil {
		return false, nil
	}
	i, marked, err := readIdentity(l.o.FS, l.failover.path)
	if marked && (i.id != l.id || !known) {
		return false, &FormatError{l.failover.path, "it is the failover directory of another log"}
	}
	return marked, err
}

func isSegment(name string) bool {
	_, is := parseName(name, segmentSuffix)
	return is
}

// leftBehind refuses to go on without a failover directory that has records, or
// that cannot be looked at, unless it has become the present one.
func (l *Log) leftBehind(dir string) error {
	i, there, err := readIdentity(l.o.FS, dir)
	if err == nil && !there {
		if l.failover != nil && l.moved() {
			return nil
		}
		err = errors.New("it is not there")
	}
	if err == nil && i.id != l.id {
		return nil // another log's by now
	}
	var names []string
	if err == nil {
		names, err = l.o.FS.List(dir)
	}
	if err != nil {
		return fmt.Errorf("log: the failover directory %s may have records: %w; put it back, or, if it is lost, remove it from %s",
			dir, err, l.home.join(identityName))
	}
	if slices.ContainsFunc(names, isSegment) {
		return fmt.Errorf("log: the failover directory %s has records; open the log with it until they are truncated", dir)
	}
	return nil
}

// moved reports whether the present failover directory has segments: it is the
// former one under another name.
func (l *Log) moved() bool {
	names, err := l.o.FS.List(l.failover.path)
	return err == nil && slices.ContainsFunc(names, func(name string) bool {
		_, spare := parseName(name, spareSuffix)
		return spare || isSegment(name)
	})
}

// recover finds the records.
func (l *Log) recover(names map[*directory][]string) error {
	found, void, err := l.scan(names)
	if err != nil {
		return err
	}
	l.low = 1
	for i, r := range found {
		if i+1 < len(found) {
			r.limit = found[i+1].first - 1
		}
		if r.limit+1 < r.first {
			return &DamageError{r.path(), 0, r.first, "the next segment begins before it"}
		}
		if err := r.read(i+1 == len(found)); err != nil {
			return err
		}
		l.low = max(l.low, r.low)
	}
	last, err := l.follow(found, void)
	if err != nil {
		return err
	}
	l.next = max(last+1, l.low)
	l.durable = l.next - 1
	if err := settle(found); err != nil {
		return err
	}
	return l.collect(found, void)
}

// follow returns the position of the last record. It is an error if one before it is
// missing that is not truncated.
func (l *Log) follow(found, void []*recovered) (last Position, err error) {
	for _, r := range found {
		if r.first > last+1 && r.first > l.low {
			for _, v := range void {
				if v.torn != nil && v.number < r.number {
					return 0, v.torn
				}
			}
			return 0, &DamageError{r.dir.path, 0, max(last+1, l.low), "a segment is missing: " + segmentName(r.number) + " begins later"}
		}
		if r.torn != nil && r.limit >= max(r.last+1, l.low) {
			r.torn.Position = r.last + 1
			return 0, r.torn
		}
		last = r.last
	}
	for _, v := range void {
		if v.torn != nil && (len(found) == 0 || v.number > found[len(found)-1].number) {
			return 0, v.torn
		}
	}
	return last, nil
}

// scan reads the headers of all segments. It returns those that have one, oldest
// first, and the others.
func (l *Log) scan(names map[*directory][]string) (found, void []*recovered, err error) {
	for d, list := range names {
		for _, name := range list {
			if number, spare := parseName(name, spareSuffix); spare {
				l.numbers.Store(max(l.numbers.Load(), number))
			}
			number, ok := parseName(name, segmentSuffix)
			if !ok {
				continue
			}
			l.numbers.Store(max(l.numbers.Load(), number))
			r := &recovered{segment: &segment{segmentHeader: segmentHeader{id: l.id, number: number}, dir: d}}
			begun, err := r.readHeader()
			if err != nil {
				return nil, nil, err
			}
			if begun {
				found = append(found, r)
			} else {
				void = append(void, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *recovered) int { return cmp.Compare(a.number, b.number) })
	for i := 1; i < len(found); i++ {
		if found[i-1].number == found[i].number {
			return nil, nil, &DamageError{found[i].path(), 0, found[i].first, "the segment is in both directories"}
		}
	}
	return found, void, nil
}

// settle makes durable what was found and is not known to be: an earlier process
// may have had a failed sync of it, after which the disk need not have what the
// page cache has. So it is written again first.
func settle(found []*recovered) error {
	if len(found) == 0 {
		return nil
	}
	return found[len(found)-1].rewrite()
}

// collect makes the log's segments of those that have records, and removes the
// others.
func (l *Log) collect(found, void []*recovered) error {
	for _, r := range void {
		if err := l.o.FS.Remove(r.path()); err != nil {
			return err
		}
	}
	for _, r := range found {
		if r.last >= max(l.low, r.first) {
			l.segments = append(l.segments, r.segment)
			continue
		}
		if err := l.o.FS.Remove(r.path()); err != nil {
			return err
		}
	}
	return nil
}
