package engine

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"cairn/engine/record"
)

const bloomBits = 10

// filters is the filter policy of tables: a bloom filter of the keys of those
// record.Spaces that are filtered. It has the name of Pebble's, and its filters
// are read as those.
type filters struct{ pebble.FilterPolicy }

func newFilters() filters { return filters{bloom.FilterPolicy(bloomBits)} }

// NewWriter implements pebble.FilterPolicy.
func (f filters) NewWriter(kind pebble.FilterType) pebble.FilterWriter {
	return filterWriter{f.FilterPolicy.NewWriter(kind)}
}

type filterWriter struct{ pebble.FilterWriter }

// AddKey implements pebble.FilterWriter.
func (w filterWriter) AddKey(key []byte) {
	if space := record.SpaceOf(key); space == nil || space.Filtered {
		w.FilterWriter.AddKey(key)
	}
}
