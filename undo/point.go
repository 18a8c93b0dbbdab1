package undo

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cairn/session"
)

// A point is a directory with its name. A crash while it is made leaves one whose name
// ends in .tmp, which the next start removes.
const (
	storeDir    = "store"      // the checkpoint
	aboutFile   = "point.json" // what a point says of itself
	deletedFile = "deleted"    // marks of 8 bytes, little endian, appended
	unfinished  = ".tmp"
)

// Marks that are no hashes of keys.
const (
	flushMark    uint64 = 0 // everything was deleted
	overflowMark uint64 = 1 // more was deleted than is noted
	stopMark     uint64 = 2 // everything was noted: the Keeper stopped
	startMark    uint64 = 3 // a Keeper has started
	crashMark    uint64 = 4 // a Keeper has started after one that had not stopped

	lastMark = crashMark

	markSize = 8 // bytes
)

// point is one Point. The exported members are in its file.
type point struct {
	ID       string       `json:"id"`
	Made     session.Time `json:"made"`
	Reason   string       `json:"reason"`
	Sessions int64        `json:"sessions"`

	Files map[string]seal `json:"files,omitempty"` // of the checkpoint

	// What others have deleted since this point, up to the next one. Guarded by the
	// Keeper's mu, as is all below.
	deleted            []uint64
	flushed, overflown bool
	crashed            bool // what was deleted last before a crash is not noted
	complete           bool // the last mark is stopMark

	unsaved []uint64
	file    *os.File // deletedFile; nil: not open
}

func idOf(t session.Time) string { return t.Time().UTC().Format("20060102T150405.000Z") }

// mark notes a deletion, or that there was a flush or too much to note.
func (p *point) mark(m uint64) {
	p.complete = m == stopMark
	switch m {
	case startMark, stopMark:
	case crashMark:
		p.crashed = true
	case flushMark:
		if p.flushed {
			return
		}
		p.flushed = true
	case overflowMark:
		if p.overflown {
			return
		}
		p.overflown = true
	default:
		p.deleted = append(p.deleted, m)
	}
	p.unsaved = append(p.unsaved, m)
}

// join takes over what was noted for the point behind, which goes.
func (p *point) join(next *point) {
	for _, m := range next.deleted {
		p.mark(m)
	}
	if next.flushed {
		p.mark(flushMark)
	}
	if next.overflown {
		p.mark(overflowMark)
	}
	if next.crashed && !p.crashed {
		p.mark(crashMark)
	}
}

// close lets go of the file of a point.
func (k *Keeper) close(p *point) {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	file := p.file
	p.file = nil
	k.mu.Unlock()
	if file != nil {
		_ = file.Close() // nothing was buffered
	}
}

// markAll notes for all points that the Keeper starts or stops, on the disk.
func (k *Keeper) markAll(m uint64) {
	k.mu.Lock()
	for _, p := range k.points {
		if m == startMark && !p.complete {
			p.mark(crashMark)
		}
		p.mark(m)
	}
	k.mu.Unlock()
	k.save()
	for _, p := range k.list() {
		if err := p.file.Sync(); err != nil {
			k.options.Logger.Warn("deletions since an undo point cannot be recorded on disk", "id", p.ID, "error", err)
		}
	}
}

// save writes what was noted into the files.
func (k *Keeper) save() {
	k.saving.Lock()
	defer k.saving.Unlock()
	for _, p := range k.list() {
		k.mu.Lock()
		file, marks := p.file, p.unsaved
		if file != nil {
			p.unsaved = nil
		}
		k.mu.Unlock()
		if file == nil || len(marks) == 0 {
			continue
		}
		buf := make([]byte, 0, markSize*len(marks))
		for _, m := range marks {
			buf = binary.LittleEndian.AppendUint64(buf, m)
		}
		if _, err := file.Write(buf); err != nil {
			k.options.Logger.Warn("deletions since an undo point cannot be recorded on disk", "id", p.ID, "error", err)
		}
	}
}

func (k *Keeper) path(p *point) string { return filepath.Join(k.options.Dir, p.ID) }

// write makes the point on the disk: whole or not at all.
func (k *Keeper) write(p *point) error {
	temp := k.path(p) + unfinished
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return err
	}
	checkpoint := filepath.Join(temp, storeDir)
	err := k.options.Store.Checkpoint(checkpoint)
	if err != nil {
		return err
	}
	if p.Files, err = sealsOf(checkpoint); err != nil {
		return err
	}
	about, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, aboutFile), about, 0o600); err != nil {
		return err
	}
	file, err := openDeleted(temp)
	if err != nil {
		return err
	}
	k.mu.Lock()
	p.file = file
	k.mu.Unlock()
	return os.Rename(temp, k.path(p))
}

func openDeleted(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, deletedFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// erase removes a point from the disk, in a way that no half of it is found again.
func (k *Keeper) erase(p *point) error {
	temp := k.path(p) + unfinished
	if err := os.Rename(k.path(p), temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(temp)
}

// load finds the points on the disk and removes what is left of others.
func (k *Keeper) load() error {
	entries, err := os.ReadDir(k.options.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	var points []*point
	for _, entry := range entries {
		dir := filepath.Join(k.options.Dir, entry.Name())
		if strings.HasSuffix(entry.Name(), unfinished) {
			errs = append(errs, os.RemoveAll(dir))
			continue
		}
		p, err := loadPoint(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b *point) int { return strings.Compare(a.ID, b.ID) })
	k.mu.Lock()
	defer k.mu.Unlock()
	k.points = points
	return errors.Join(errs...)
}

func loadPoint(dir string) (*point, error) {
	about, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if err != nil {
		return nil, err
	}
	p := new(point)
	if err := json.Unmarshal(about, p); err != nil || p.ID != filepath.Base(dir) {
		return nil, errors.Join(err, errors.New(strconv.Quote(dir)+" is not an undo point"))
	}
	if err := p.loadDeleted(dir); err != nil {
		return nil, err
	}
	p.file, err = openDeleted(dir)
	return p, err
}

func (p *point) loadDeleted(dir string) error {
	file, err := os.Open(filepath.Join(dir, deletedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for whole := int64(0); ; whole += markSize {
		var mark [markSize]byte
		switch _, err := io.ReadFull(in, mark[:]); {
		case err == io.EOF:
			p.unsaved = nil
			return nil
		case err != nil: // cut short by a crash: it is not known what
			p.unsaved = nil
			p.mark(overflowMark)
			return os.Truncate(file.Name(), whole)
		}
		p.mark(binary.LittleEndian.Uint64(mark[:]))
	}
}
