package snapshot

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"cairn/durable"
)

// ReceiveOptions are where a snapshot goes.
type ReceiveOptions struct {
	FS vfs.FS

	// Dir is the engine's directory, or will be: the snapshot is received beside it.
	Dir string

	// Reserve is how many bytes must stay free on the disk.
	Reserve int64

	// Accept may refuse what is offered, before anything comes; default: all is
	// taken.
	Accept func(offer *Manifest) error
}

// Receive receives a snapshot from a node that calls Send at the other end, beside
// the engine's directory, where it waits for Install. It uses what an earlier,
// interrupted Receive has left. It ends soon after ctx does, if the connection does
// not block: whoever ends ctx should close it.
func Receive(ctx context.Context, rw io.ReadWriter, o ReceiveOptions) (*Manifest, error) {
	t := &receiving{ctx: ctx, wire: newWire(rw), o: o, dir: o.Dir + incomingSuffix}
	m, err := t.run()
	t.wire.giveUp(err)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// receiving is a transfer, seen by the receiver.
type receiving struct {
	ctx   context.Context
	wire  *wire
	o     ReceiveOptions
	dir   string
	offer *Manifest
	parts map[int]*haven // files that are there, as far as they are
	notes *progress
}

// haven is what there is of a file.
type haven struct {
	size int64
	sum  Sum
	hash *xxh3.Hasher // of the part; nil if the file is complete
}

func (t *receiving) path(name string) string { return t.o.FS.PathJoin(t.dir, name) }

func (t *receiving) run() (m *Manifest, err error) {
	payload, err := t.wire.expect(kindOffer, maxPayload)
	if err != nil {
		return nil, err
	}
	if t.offer, err = parseManifest(payload); err != nil {
		return nil, err
	}
	if t.o.Accept != nil {
		if err := t.o.Accept(t.offer); err != nil {
			return nil, err
		}
	}
	if err := t.prepare(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.notes.close()) }()
	if err := t.wire.send(kindHave, t.have()); err != nil {
		return nil, err
	}
	sums := make([]Sum, len(t.offer.Files))
	for i := range t.offer.Files {
		if sums[i], err = t.file(i); err != nil {
			return nil, err
		}
	}
	if payload, err = t.wire.expect(kindDone, maxPayload); err != nil {
		return nil, err
	}
	if m, err = parseManifest(payload); err != nil {
		return nil, err
	}
	for i, f := range t.offer.Files {
		if f.Sum = sums[i]; len(m.Files) != len(sums) || m.Files[i] != f {
			return nil, ErrDamaged
		}
	}
	if err := t.complete(m); err != nil {
		return nil, err
	}
	return m, t.wire.send(kindOK, nil)
}

// prepare makes the directory, removes from it what does not belong there any more,
// and finds what there is.
func (t *receiving) prepare() error {
	fs := t.o.FS
	if err := fs.MkdirAll(t.dir, 0o750); err != nil {
		return err
	}
	names, err := fs.List(t.dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, installName) {
		return ErrInstalling
	}
	if slices.Contains(names, receivedName) { // it will not be complete soon
		if err := errors.Join(fs.Remove(t.path(receivedName)), durable.SyncDir(fs, t.dir)); err != nil {
			return err
		}
	}
	if t.notes, err = readProgress(fs, t.path(progressName)); err != nil {
		return err
	}
	if err := t.find(names); err != nil {
		return errors.Join(err, t.notes.close())
	}
	return nil
}

// find notes which of the directory's files are some of the offer, and removes the
// others.
func (t *receiving) find(names []string) error {
	t.parts = map[int]*haven{}
	wanted := map[string]int{}
	for i, f := range t.offer.Files {
		wanted[f.Name] = i
	}
	missing := t.offer.Bytes()
	for _, name := range names {
		if isOwn(name) {
			continue
		}
		i, ok := wanted[name]
		if ok {
			h, err := t.look(name, t.offer.Files[i].Size)
			if err != nil {
				return err
			}
			if ok = h.size > 0; ok {
				t.parts[i] = h
				missing -= h.size
			}
		}
		if !ok {
			if err := t.o.FS.Remove(t.path(name)); err != nil {
				return err
			}
		}
	}
	usage, err := t.o.FS.GetDiskUsage(t.dir)
	if err == nil && int64(usage.AvailBytes) < missing+t.o.Reserve {
		return fmt.Errorf("%w: %d bytes are missing, %d are free, %d must stay so", ErrNoSpace, missing, usage.AvailBytes, t.o.Reserve)
	}
	return nil
}

// look finds what there is of a file: no size if nothing can be used.
func (t *receiving) look(name string, size int64) (*haven, error) {
	info, err := t.o.FS.Stat(t.path(name))
	if err != nil {
		return nil, err
	}
	if info.IsDir() || info.Size() > size {
		return new(haven), nil
	}
	if sum, ok := t.notes.done[name]; ok && info.Size() == size {
		return &haven{size: size, sum: sum}, nil
	}
	f, err := openFile(t.o.FS, t.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, chunkBytes); f.at < info.Size(); {
		if err := t.ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.next(chunk[:min(chunkBytes, info.Size()-f.at)]); err != nil {
			return nil, err
		}
	}
	return &haven{f.at, sumOf(f.hash), f.hash}, nil
}

func (t *receiving) have() []byte {
	list := []part{}
	for i, h := range t.parts {
		list = append(list, part{i, h.size, h.sum})
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // numbers and bytes
	}
	return text
}

// file receives a file and returns its sum.
func (t *receiving) file(i int) (sum Sum, err error) {
	payload, err := t.wire.expect(kindBegin, 12)
	if err != nil {
		return sum, err
	}
	f, h := t.offer.Files[i], t.parts[i]
	if h == nil {
		h = new(haven)
	}
	if len(payload) != 12 || binary.LittleEndian.Uint32(payload) != uint32(i) {
		return sum, ErrDamaged
	}
	switch at := int64(binary.LittleEndian.Uint64(payload[4:])); {
	case at == 0 && h.size > 0:
		h = new(haven)
	case at != h.size:
		return sum, ErrDamaged
	}
	if h.size == f.Size && f.Size > 0 && h.hash == nil {
		return h.sum, t.end(h.sum)
	}
	if h.hash == nil {
		h.hash = xxh3.New()
	}
	if err := t.write(f, h); err != nil {
		return sum, err
	}
	sum = sumOf(h.hash)
	err = t.end(sum)
	if errors.Is(err, ErrDamaged) {
		// The sender has read something else than what it has sent, or we have kept
		// something else: it is not used again.
		err = errors.Join(err, t.o.FS.Remove(t.path(f.Name)))
	}
	if err == nil {
		err = t.notes.add(f.Name, sum)
	}
	return sum, err
}

// end expects the end of a file with a sum.
func (t *receiving) end(sum Sum) error {
	payload, err := t.wire.expect(kindEnd, len(sum))
	if err == nil && string(payload) != string(sum[:]) {
		err = ErrDamaged
	}
	return err
}

// syncEvery is after how many bytes of a file the disk begins to write them, so that
// there is not much to do at the end.
const syncEvery = 1 << 20

// write writes what is missing of a file, from h on, and makes it durable.
func (t *receiving) write(f File, h *haven) (err error) {
	path := t.path(f.Name)
	if h.size == 0 {
		if err := t.notes.forget(f.Name); err != nil {
			return err
		}
		if err := t.o.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	out, err := t.o.FS.OpenReadWrite(path, writeCategory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for synced := h.size; h.size < f.Size; {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		b, err := t.wire.expect(kindData, chunkBytes)
		if err != nil {
			return err
		}
		if len(b) == 0 || int64(len(b)) > f.Size-h.size {
			return ErrDamaged
		}
		_, _ = h.hash.Write(b)
		if _, err := out.WriteAt(b, h.size); err != nil {
			return err
		}
		if h.size += int64(len(b)); h.size-synced >= syncEvery {
			if _, err := out.SyncTo(h.size); err != nil {
				return err
			}
			synced = h.size
		}
	}
	return out.Sync()
}

// complete makes it durable that all is there.
func (t *receiving) complete(m *Manifest) error {
	if err := durable.SyncDir(t.o.FS, t.dir); err != nil {
		return err
	}
	if err := durable.Replace(t.o.FS, t.path(receivedName), writeCategory, m.text()); err != nil {
		return err
	}
	return durable.SyncDir(t.o.FS, t.o.FS.PathDir(t.dir))
}

// progress is a file that names the files that are complete and on the disk, so
// that they need not be read again. A line that cannot be read ends it; a sum of
// zeros takes a line back.
type progress struct {
	file vfs.File
	at   int64
	done map[string]Sum
}

const progressLine = "%x %q\n"

func readProgress(fs vfs.FS, path string) (*progress, error) {
	f, err := fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	p := &progress{file: f, done: map[string]Sum{}}
	for line := range strings.Lines(string(text)) {
		var b []byte
		var name string
		if n, err := fmt.Sscanf(line, progressLine, &b, &name); n != 2 || err != nil || len(b) != len(Sum{}) {
			break
		}
		if p.done[name] = Sum(b); Sum(b) == (Sum{}) {
			delete(p.done, name)
		}
		p.at += int64(len(line))
	}
	return p, nil
}

// add notes a file that is on the disk.
func (p *progress) add(name string, sum Sum) error {
	line := fmt.Appendf(nil, progressLine, sum[:], name)
	_, err := p.file.WriteAt(line, p.at)
	p.at += int64(len(line))
	p.done[name] = sum
	return err
}

// forget notes that a file is not what it was any more, if it is noted.
func (p *progress) forget(name string) error {
	if _, ok := p.done[name]; !ok {
		return nil
	}
	if err := p.add(name, Sum{}); err != nil {
		return err
	}
	delete(p.done, name)
	return p.file.Sync()
}

func (p *progress) close() error { return p.file.Close() }
