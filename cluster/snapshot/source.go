package snapshot

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"

	"cairn/engine"
)

// Engine makes checkpoints. *engine.Store is one.
type Engine interface {
	// Checkpoint makes dir, which must not exist, a copy of the engine.
	Checkpoint(dir string) error
}

// Source is a checkpoint that can be sent, to several nodes at the same time.
type Source struct {
	fs    vfs.FS
	dir   string
	offer Manifest

	mu   sync.Mutex
	sums map[string]Sum // of files that have been read to the end
}

// Take makes a checkpoint of an engine that follows a log: in dir, which must not
// exist and should be on the engine's file system, where it costs no space and
// little time. conf returns the configuration at an index.
func Take(e Engine, fs vfs.FS, dir string, conf func(index uint64) ([]byte, error)) (s *Source, err error) {
	if err := e.Checkpoint(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("snapshot: take %s: %w", dir, err), fs.RemoveAll(dir))
		}
	}()
	at, err := positionOf(fs, dir)
	if err != nil {
		return nil, err
	}
	s = &Source{fs: fs, dir: dir, offer: Manifest{Index: at.Index, Term: at.Term}, sums: map[string]Sum{}}
	if s.offer.Conf, err = conf(at.Index); err != nil {
		return nil, err
	}
	return s, s.list()
}

// positionOf returns up to which entry a checkpoint has the log's effects.
func positionOf(fs vfs.FS, dir string) (at engine.Position, err error) {
	s, err := engine.Open(engine.Options{Dir: dir, FS: fs, ReadOnly: true, ExternalLog: true})
	if err != nil {
		return at, err
	}
	at = s.Applied()
	return at, s.Close()
}

// list puts the checkpoint's files in the offer.
func (s *Source) list() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		info, err := s.fs.Stat(s.fs.PathJoin(s.dir, name))
		if err != nil {
			return err
		}
		if info.IsDir() || !validName(name) {
			return fmt.Errorf("%s is not a file of a checkpoint", name)
		}
		s.offer.Files = append(s.offer.Files, File{Name: name, Size: info.Size()})
	}
	return nil
}

// Manifest returns what the snapshot is. The files have no sums yet.
func (s *Source) Manifest() Manifest {
	m := s.offer
	m.Files = slices.Clone(m.Files)
	return m
}

// Close removes the checkpoint. Nothing may be sent from it any more.
func (s *Source) Close() error { return s.fs.RemoveAll(s.dir) }

func (s *Source) sum(name string) (sum Sum, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, known = s.sums[name]
	return sum, known
}

func (s *Source) setSum(name string, sum Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums[name] = sum
}

// file is a file that is read from its beginning on.
type file struct {
	vfs.File
	hash *xxh3.Hasher
	at   int64
}

func openFile(fs vfs.FS, path string) (*file, error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	return &file{File: f, hash: xxh3.New()}, nil
}

// next reads n bytes into b.
func (f *file) next(b []byte) error {
	n, err := io.ReadFull(f.File, b)
	f.at += int64(n)
	_, _ = f.hash.Write(b[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("snapshot: the file has become shorter: %w", io.ErrUnexpectedEOF)
	}
	return err
}
