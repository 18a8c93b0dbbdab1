package locks

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"cairn/session"
)

// fileName is where locks are on their way from one process to the next.
const fileName = "locks.json"

// lock is a lock in that file.
type lock struct {
	Key, Value []byte
	Flags      uint32 `json:",omitempty"`
	Version    uint64
	Expiry     session.Time
	Holder     uint64 `json:",omitempty"` // the number of its connection; 0: it is not to be freed
}

// Save writes the locks into a directory, for the process that goes on with the
// connections. Nobody may be waiting.
func (s *Store) Save(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []lock
	holders := s.holders()
	for _, it := range s.items.Items(s.options.Clock.Now()) {
		list = append(list, lock{
			Key: it.Key, Value: it.Value, Flags: it.Flags, Version: it.Version, Expiry: it.Expiry,
			Holder: holders[holding{string(it.Key), it.Version}],
		})
	}
	if len(list) == 0 {
		return nil
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileName), data, 0o600)
}

// Load takes over what Save has written there. Locks that are here already stay.
func (s *Store) Load(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list []lock
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range list {
		if len(l.Key) == 0 {
			continue
		}
		s.items.Put(session.Item{Key: l.Key, Value: l.Value, Flags: l.Flags, Version: l.Version, Born: l.Version, Expiry: l.Expiry})
		s.items.NumberFrom(l.Version + 1)
		if l.Holder != 0 {
			s.hold(l.Holder, string(l.Key), l.Version)
		}
	}
	return nil
}

// Forget removes what Save has written there.
func Forget(dir string) error {
	if err := os.Remove(filepath.Join(dir, fileName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
