package engine

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
)

// merger gives MERGE operations their meaning: patches for records, sums for
// the ledger. Its name is persisted; a merger with another meaning needs
// another name.
//
// It must never make a key disappear. A merger that drops expired records would
// leave no tombstone, and the older copies below would come back.
var merger = &pebble.Merger{
	Name: "cairn.merge.1",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		operands := record.Nothing
		if space := record.SpaceOf(key); space != nil {
			operands = space.Merges
		}
		switch operands {
		case record.Ledgers:
			m := &ledgerMerge{}
			return m, m.MergeNewer(value)
		case record.Patches:
			m := &recordMerge{}
			return m, m.merge.Newer(value)
		}
		return nil, fmt.Errorf("%w: a merge of %q", record.ErrCorrupt, key)
	},
}

type recordMerge struct{ merge record.Merge }

func (m *recordMerge) MergeNewer(value []byte) error { return m.merge.Newer(value) }
func (m *recordMerge) MergeOlder(value []byte) error { return m.merge.Older(value) }

func (m *recordMerge) Finish(bool) ([]byte, io.Closer, error) {
	return m.merge.Finish(), nil, nil
}

type ledgerMerge struct{ sum record.LedgerSum }

func (m *ledgerMerge) MergeNewer(value []byte) error {
	l, err := record.DecodeLedger(value)
	if err == nil {
		m.sum.Add(l)
	}
	return err
}

func (m *ledgerMerge) MergeOlder(value []byte) error { return m.MergeNewer(value) }

func (m *ledgerMerge) Finish(bool) ([]byte, io.Closer, error) {
	return m.sum.Ledger().Append(nil), nil, nil
}
