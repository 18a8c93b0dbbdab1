package engine

import (
	"errors"
	"fmt"

	"cairn/processors"
	"cairn/session"
)

// Checkpoint makes dir, which must not exist, a copy of the store that holds at
// least all that was acknowledged before the call. Each burst is in it as a
// whole or not at all. Tables are hard links if dir is on the same file system,
// so it is cheap to make; it keeps their space for as long as it stays.
func (s *Store) Checkpoint(dir string) error {
	if !s.doors.enter() {
		return session.ErrClosed
	}
	defer s.doors.leave()
	processors.Begin()
	defer processors.End()
	if s.frozen() {
		return fmt.Errorf("engine: checkpoint to %s: %w", dir, session.ErrNoSpace)
	}
	err := s.checkpoint(dir)
	if err == nil {
		err = putFormat(s.options.FS, dir, s.files.features.load())
	}
	if err != nil {
		return fmt.Errorf("engine: checkpoint to %s: %w", dir, err)
	}
	return nil
}

// checkpoint lets the log make the copy. It makes an error of what Pebble panics
// with, such as a failed sync of dir, and then removes dir.
func (s *Store) checkpoint(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("pebble: %v", p)
			if cause, ok := p.(error); ok {
				err = fmt.Errorf("pebble: %w", cause)
			}
			err = errors.Join(err, s.options.FS.RemoveAll(dir))
		}
	}()
	return s.files.log.checkpoint(dir)
}
