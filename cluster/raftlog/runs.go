package raftlog

import (
	"sort"

	"cairn/log"
)

// run is entries of one term in one record, up to the next run.
type run struct {
	index    uint64 // of the first
	position log.Position
	term     uint64
}

// holder returns which of the runs has the entry at index.
func holder(runs []run, index uint64) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].index > index }) - 1
}

// cut returns the runs without the entries from index on.
func cut(runs []run, index uint64) []run {
	return runs[:sort.Search(len(runs), func(i int) bool { return runs[i].index >= index })]
}

// below returns the runs without the entries before index. The last run's end is
// not known here: some of it must be behind index.
func below(runs []run, index uint64) []run {
	i := holder(runs, index)
	if i < 0 {
		return runs
	}
	kept := append([]run(nil), runs[i:]...)
	kept[0].index = index
	return kept
}
