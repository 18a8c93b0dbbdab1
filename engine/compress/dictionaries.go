package compress

import (
	"log/slog"

	"cairn/engine/compress/dictionary"
	"cairn/engine/record"
	"cairn/processors"
	"cairn/session"
	"cairn/ttl"
)

// maxDictionaries bounds the dictionaries of a store. Only sessions that change
// for ever and never expire can reach it.
const maxDictionaries = 64

// Storage is where a store keeps its dictionaries.
type Storage interface {
	// PutDictionary stores d under its ID. When it returns, d is on the disk.
	PutDictionary(d *record.Dictionary) error

	// DropDictionary removes the dictionary with that ID, at the latest with
	// the next write.
	DropDictionary(id uint32) error

	// Buckets returns the buckets that may hold records, the highest first.
	// Whoever encodes a value for a bucket has made sure before that it is one
	// of them.
	Buckets() []ttl.Bucket
}

// Dictionaries are the stored dictionaries of a Values. They live as follows. A
// new one is on the disk before the first record refers to it. When a newer one
// of its kind takes over, it is noted with the highest bucket that may refer to
// it, and it goes when that bucket has been dropped. Only one goroutine at a
// time may use a Dictionaries, beside those that use the Values.
type Dictionaries struct {
	values  *Values
	storage Storage
	logger  *slog.Logger
	known   map[uint32]*record.Dictionary // by ID
}

// NewDictionaries returns the dictionaries of v without any. Learn adds those
// that storage has.
func NewDictionaries(v *Values, storage Storage, logger *slog.Logger) *Dictionaries {
	return &Dictionaries{values: v, storage: storage, logger: logger, known: make(map[uint32]*record.Dictionary)}
}

// Len is the number of dictionaries.
func (d *Dictionaries) Len() int { return len(d.known) }

// Learn makes a stored dictionary known, and current if it is the latest of its
// kind. Of several that claim to be in use for one kind, which a crash can leave
// behind, the latest is; see Retire.
func (d *Dictionaries) Learn(stored *record.Dictionary) error {
	kind := dictionary.Kind(stored.Kind)
	if err := d.values.set.Add(dictionary.Dictionary{ID: stored.ID, Kind: kind, Raw: stored.Raw}); err != nil {
		return err
	}
	d.known[stored.ID] = stored
	d.values.trainer.Trained(kind)
	return nil
}

// Retire notes the last bucket of dictionaries that a crash kept from being
// noted when a newer one took over.
func (d *Dictionaries) Retire() {
	latest := make(map[uint32]uint32)
	for id, known := range d.known {
		latest[known.Kind] = max(latest[known.Kind], id)
	}
	last := d.lastBucket()
	for id, known := range d.known {
		if known.Last == 0 && id != latest[known.Kind] {
			known.Last = last
		}
	}
}

// lastBucket is the highest bucket that may refer to a dictionary that is out of
// use from now on; never 0.
func (d *Dictionaries) lastBucket() ttl.Bucket {
	if list := d.storage.Buckets(); len(list) > 0 {
		return list[0]
	}
	return 1
}

// Train trains a dictionary for a kind of session that waits for one, stores it
// and uses it from now on. It does nothing if no kind does.
func (d *Dictionaries) Train() error {
	if id := d.Due(); id != 0 {
		if trained := d.Propose(id); trained != nil {
			return d.adopt(trained)
		}
	}
	return nil
}

// Due returns the ID for a dictionary that is to be trained now; 0: no kind of
// session waits for one.
func (d *Dictionaries) Due() uint32 {
	if !d.values.due.Swap(false) || len(d.known) >= maxDictionaries {
		return 0
	}
	return d.Next()
}

// Propose trains a dictionary for a kind of session that waits for one, and does
// not use it; nil: there is nothing to learn. It takes up to a second, and others
// may use d meanwhile.
func (d *Dictionaries) Propose(id uint32) *record.Dictionary {
	processors.Begin()
	defer processors.End()
	trained, err := d.values.trainer.Train(id)
	if err != nil {
		d.logger.Debug("no dictionary", "reason", err)
		return nil
	}
	return &record.Dictionary{ID: trained.ID, Kind: uint32(trained.Kind), Raw: trained.Raw}
}

// Next is the ID of the next dictionary. The highest ID of all is never
// forgotten, since it is in use; so it depends on what was learnt only.
func (d *Dictionaries) Next() uint32 {
	next := uint32(1)
	for id := range d.known {
		next = max(next, id+1)
	}
	return next
}

// adopt stores a new dictionary, uses it from now on, and notes that its
// predecessors are out of use.
func (d *Dictionaries) adopt(trained *record.Dictionary) error {
	if err := d.storage.PutDictionary(trained); err != nil {
		return err
	}
	if err := d.Learn(trained); err != nil {
		return err
	}
	// From here on the list names all buckets that refer to predecessors.
	last := d.lastBucket()
	d.logger.Info("trained a dictionary", "dictionary", trained.ID, "bytes", len(trained.Raw))
	for _, old := range d.Replace(trained, last) {
		if err := d.storage.PutDictionary(old); err != nil {
			return err
		}
	}
	return nil
}

// Replace notes that the predecessors of a dictionary are out of use, and that
// last is the highest bucket that may refer to them. It returns them, to be
// stored anew.
func (d *Dictionaries) Replace(by *record.Dictionary, last ttl.Bucket) (replaced []*record.Dictionary) {
	for _, old := range d.known {
		if old.Kind == by.Kind && old != by && old.Last == 0 {
			old.Last = last
			replaced = append(replaced, old)
		}
	}
	return replaced
}

// Forget removes the dictionaries whose records are gone: the last bucket that
// may refer to them is dropped and was dead at now.
func (d *Dictionaries) Forget(now session.Time) error {
	list := d.storage.Buckets()
	for id, old := range d.known {
		gone := old.Last != 0 && old.Last.Dead(now) && (len(list) == 0 || list[len(list)-1] > old.Last)
		if !gone {
			continue
		}
		if err := d.storage.DropDictionary(id); err != nil {
			return err
		}
		delete(d.known, id)
		d.values.set.Remove(id)
	}
	return nil
}
