package engine

import (
	"context"
	"fmt"
)

// Quiesce makes a Close soon after it quick, and an Open after that, while
// bursts go on: it lets compactions that are under way end and none begin, which
// a Close would have to wait for, and settles. On an error, such as that of ctx,
// the store is as before. Resume undoes it.
func (s *Store) Quiesce(ctx context.Context) error {
	s.files.disk.Hurry()
	defer s.files.disk.Calm()
	err := s.files.disk.Quiet(ctx)
	if err == nil {
		err = s.Settle()
	}
	if err != nil {
		s.Resume()
		return fmt.Errorf("engine: quiesce: %w", err)
	}
	return nil
}

// Resume lets compactions run again after Quiesce.
func (s *Store) Resume() { s.files.disk.Resume() }
