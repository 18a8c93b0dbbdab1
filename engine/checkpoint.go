package engine

import (
	"fmt"

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
	err := s.files.log.checkpoint(dir)
	if err == nil {
		err = putFormat(s.options.FS, dir, s.files.features.load())
	}
	if err != nil {
		return fmt.Errorf("engine: checkpoint to %s: %w", dir, err)
	}
	return nil
}
