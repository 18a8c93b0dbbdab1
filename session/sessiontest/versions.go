package sessiontest

import (
	"bytes"
	"fmt"
	"maps"

	"cairn/session"
)

// ChosenVersions is the lowest version that a Generator chooses with
// SetVersion. Below it are the versions that stores hand out by themselves.
const ChosenVersions = 1 << 62

// Versions is the correspondence between the versions that a Model handed out
// and those of the Store it is compared with. The zero value is ready to use.
// It is not safe for concurrent use.
type Versions struct {
	toStore map[uint64]uint64
	toModel map[uint64]uint64
}

// ToStore returns the store's number for a version of the model. Versions that
// clients chose are the same for both, as is a version that the store has not
// shown yet.
func (v *Versions) ToStore(model uint64) uint64 {
	if store, known := v.toStore[model]; known {
		return store
	}
	return model
}

// Clone returns an independent copy.
func (v *Versions) Clone() Versions {
	return Versions{toStore: maps.Clone(v.toStore), toModel: maps.Clone(v.toModel)}
}

// knows reports whether ToStore can translate a version of the model.
func (v *Versions) knows(model uint64) bool {
	_, known := v.toStore[model]
	return known || model >= ChosenVersions
}

// forgetAfter unlearns the versions that the model gave later than last.
func (v *Versions) forgetAfter(last uint64) {
	for model, store := range v.toStore {
		if model > last {
			delete(v.toStore, model)
			delete(v.toModel, store)
		}
	}
}

// Match learns that the item with the given version of the model has the given
// version in the store. It is an error if either is known to mean something
// else: then the store gave a version twice, or changed one, or lost a change.
func (v *Versions) Match(model, store uint64) error {
	if model >= ChosenVersions || store >= ChosenVersions || model == 0 || store == 0 {
		if model != store {
			return fmt.Errorf("version %d, want %d", store, model)
		}
		return nil
	}
	if known, ok := v.toStore[model]; ok && known != store {
		return fmt.Errorf("version %d, want %d (the model's %d)", store, known, model)
	}
	if known, ok := v.toModel[store]; ok && known != model {
		return fmt.Errorf("version %d stands for the model's %d, now for %d too", store, known, model)
	}
	if v.toStore == nil {
		v.toStore, v.toModel = make(map[uint64]uint64), make(map[uint64]uint64)
	}
	v.toStore[model], v.toModel[store] = store, model
	return nil
}

// Compare tells in what a store's result differs from the model's for the
// command c; nil if in nothing that matters. Fetched and LastAccess may differ
// always, and the item of a refused OpAdd may be missing.
func (v *Versions) Compare(c *session.Command, model, store *session.Result) error {
	switch {
	case store.Status != model.Status:
		return fmt.Errorf("status %d (error %v), want %d", store.Status, store.Err, model.Status)
	case (store.Err == nil) != (model.Err == nil):
		return fmt.Errorf("error %v, want %v", store.Err, model.Err)
	case store.Number != model.Number:
		return fmt.Errorf("number %d, want %d", store.Number, model.Number)
	case store.Won != model.Won:
		return fmt.Errorf("won is %t, want %t", store.Won, model.Won)
	case store.Created != model.Created:
		return fmt.Errorf("created is %t, want %t", store.Created, model.Created)
	case model.Status == session.NotStored && c.Op == session.OpAdd:
		return nil
	}
	return v.CompareItems(&model.Item, &store.Item)
}

// CompareItems tells in what a store's item differs from the model's, as
// Compare does.
func (v *Versions) CompareItems(model, store *session.Item) error {
	switch {
	case !bytes.Equal(store.Key, model.Key):
		return fmt.Errorf("key %q, want %q", store.Key, model.Key)
	case !bytes.Equal(store.Value, model.Value):
		return fmt.Errorf("value %s, want %s", abridged(store.Value), abridged(model.Value))
	case store.Flags != model.Flags:
		return fmt.Errorf("flags %d, want %d", store.Flags, model.Flags)
	case store.Expiry != model.Expiry:
		return fmt.Errorf("expiry %d, want %d", store.Expiry, model.Expiry)
	case store.Stale != model.Stale:
		return fmt.Errorf("stale is %t, want %t", store.Stale, model.Stale)
	case store.Claimed != model.Claimed:
		return fmt.Errorf("claimed is %t, want %t", store.Claimed, model.Claimed)
	case store.Created != model.Created:
		return fmt.Errorf("created at %d, want %d", store.Created, model.Created)
	case !bytes.Equal(store.Owner, model.Owner):
		return fmt.Errorf("owner %q, want %q", store.Owner, model.Owner)
	}
	if err := v.Match(model.Born, store.Born); err != nil {
		return fmt.Errorf("born: %w", err)
	}
	return v.Match(model.Version, store.Version)
}

func abridged(value []byte) string {
	const most = 40
	if len(value) <= most {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%q... (%d bytes)", value[:most], len(value))
}
