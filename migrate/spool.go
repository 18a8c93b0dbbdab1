package migrate

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
)

// spool keeps the keys that a source has listed, in a file without a name: there
// may be more of them than memory should hold. Keys are added first, then read.
type spool struct {
	file *os.File
	out  *bufio.Writer
	in   *bufio.Reader
	n    int64 // keys added
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "cairn-import-*")
	if err != nil {
		return nil, err
	}
	// The file goes with the process, however that ends.
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return &spool{file: file, out: bufio.NewWriterSize(file, 256<<10)}, nil
}

func (s *spool) Close() error { return s.file.Close() }

// add appends a key of less than 64 KB.
func (s *spool) add(key []byte) error {
	s.n++
	if _, err := s.out.Write(binary.BigEndian.AppendUint16(nil, uint16(len(key)))); err != nil {
		return err
	}
	_, err := s.out.Write(key)
	return err
}

// rewind ends adding and begins reading.
func (s *spool) rewind() error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.in = bufio.NewReaderSize(s.file, 256<<10)
	return nil
}

// next returns up to n keys; none at the end.
func (s *spool) next(n int) (keys [][]byte, err error) {
	for len(keys) < n {
		var size [2]byte
		if _, err := io.ReadFull(s.in, size[:]); err == io.EOF {
			return keys, nil
		} else if err != nil {
			return nil, err
		}
		key := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(s.in, key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
