package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"cairn/session"
	"cairn/ttl"
)

// bucketList knows which buckets may hold records: newest deadline first. It
// may name empty and dead ones, but never misses one that holds something.
type bucketList struct {
	mu   sync.Mutex // held to change the list
	list atomic.Pointer[[]ttl.Bucket]
}

// all returns the list. It must not be changed.
func (l *bucketList) all() []ttl.Bucket {
	if p := l.list.Load(); p != nil {
		return *p
	}
	return nil
}

// live returns the buckets of the list that live at now.
func (l *bucketList) live(now session.Time) []ttl.Bucket {
	list := l.all()
	last := ttl.LastDead(now)
	for len(list) > 0 && list[len(list)-1] <= last {
		list = list[:len(list)-1]
	}
	return list
}

// add makes sure that the list names b. It is called before anything is
// written into b.
func (l *bucketList) add(b ttl.Bucket) {
	if slices.Contains(l.all(), b) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i, found := slices.BinarySearchFunc(l.all(), b, descending)
	if !found {
		list := slices.Insert(slices.Clone(l.all()), i, b)
		l.list.Store(&list)
	}
}

// remove takes buckets up to last out of the list and says how many they were.
func (l *bucketList) remove(last ttl.Bucket) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(l.all()), func(b ttl.Bucket) bool { return b <= last })
	n = len(l.all()) - len(list)
	l.list.Store(&list)
	return n
}

func descending(a, b ttl.Bucket) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}
