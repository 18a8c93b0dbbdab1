package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A file begins with the magic, whose last byte is the version of the format.
// Frames follow: length and checksum (CRC-32C) of the payload, 4 bytes each,
// little endian, and the payload.
const (
	magic      = "cairnhs\x01"
	frameHead  = 8
	maxPayload = 4 << 10
	maxFile    = 16 << 20 // more of a file is not read
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is one file of frames that grows at its end and is replaced when it is
// outdated. Its zero value is outdated.
type file struct {
	f       *os.File
	size    int64 // of what is whole
	current bool  // what is in it is what should be, as far as it goes
}

func (f *file) outdated()        { f.current = false }
func (f *file) isOutdated() bool { return !f.current || f.f == nil }

// open reads the frames of a file, none if there is no file. What a crash has
// torn at its end is cut off by the next save; frames that are damaged are left
// out. A file of another format is set aside.
func (f *file) open(path string, setAside func(string, error) error) ([][]byte, error) {
	f.close()
	opened, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(opened, maxFile))
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	frames, whole, err := parse(content)
	if err != nil {
		opened.Close()
		return nil, setAside(path, err)
	}
	f.f, f.size, f.current = opened, int64(whole), whole == len(content) && len(frames) > 0
	return frames, nil
}

// parse returns the frames of a file, and up to where it is whole.
func parse(content []byte) (frames [][]byte, whole int, err error) {
	if !bytes.HasPrefix(content, []byte(magic)) {
		if len(content) < len(magic) {
			return nil, 0, nil // torn before it had anything
		}
		return nil, 0, fmt.Errorf("it begins with %q, not %q", content[:len(magic)], magic)
	}
	for at := len(magic); ; {
		rest := content[at:]
		if len(rest) < frameHead {
			return frames, at, nil
		}
		n := int(binary.LittleEndian.Uint32(rest))
		if n > maxPayload || len(rest) < frameHead+n {
			return frames, at, nil
		}
		payload := rest[frameHead : frameHead+n]
		if crc32.Checksum(payload, castagnoli) == binary.LittleEndian.Uint32(rest[4:]) {
			frames = append(frames, payload)
		} else if len(frames) == 0 {
			return nil, 0, nil // without the first frame the others mean nothing
		}
		at += frameHead + n
	}
}

func appendFrame(to, payload []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(payload)))
	to = binary.LittleEndian.AppendUint32(to, crc32.Checksum(payload, castagnoli))
	return append(to, payload...)
}

// save adds frames. If the file is outdated they are all that there is, and
// replace it, after the first frame. After an error the file is outdated.
func (f *file) save(path string, first []byte, frames [][]byte) (err error) {
	if f.isOutdated() {
		return f.replace(path, first, frames)
	}
	if len(frames) == 0 {
		return nil
	}
	var data []byte
	for _, frame := range frames {
		data = appendFrame(data, frame)
	}
	if _, err = f.f.WriteAt(data, f.size); err != nil {
		f.outdated()
		return err
	}
	f.size += int64(len(data))
	return nil
}

// replace makes the file anew, beside the old one until it is on disk.
func (f *file) replace(path string, first []byte, frames [][]byte) error {
	data := appendFrame([]byte(magic), first)
	for _, frame := range frames {
		data = appendFrame(data, frame)
	}
	fresh, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = fresh.Write(data); err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, fresh.Close(), os.Remove(path+".new"))
	}
	f.close()
	f.f, f.size, f.current = fresh, int64(len(data)), true
	return nil
}

func (f *file) close() {
	if f.f != nil {
		f.f.Close() // each write has reported its own error
	}
	*f = file{}
}
