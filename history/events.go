package history

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Kind says what an event is.
type Kind string

// What is marked. A process that did not stop in an orderly way has no Stop
// before the Restart that follows.
const (
	Start    Kind = "start" // of a store without a history
	Restart  Kind = "restart"
	Takeover Kind = "takeover"
	Stop     Kind = "stop"

	SlowFsync  Kind = "slow_fsync"
	SlowDisk   Kind = "slow_disk"
	Stall      Kind = "stall"
	OutOfSpace Kind = "out_of_space"
	ReadOnly   Kind = "read_only"

	Election Kind = "election" // of a node of a cluster, as are those below
	NoLeader Kind = "no_leader"
)

// Kinds lists all there are.
var Kinds = []Kind{Start, Restart, Takeover, Stop, SlowFsync, SlowDisk, Stall, OutOfSpace, ReadOnly, Election, NoLeader}

// Event is something that happened at a time, or until another one.
type Event struct {
	At     time.Time
	Until  time.Time // the last time that it was seen; At if that was once
	Kind   Kind
	Detail string // one line for people; may be empty
}

// slowFsync is from when on an fsync is marked: clients such as
// memcached-session-manager give up after 100 ms.
const slowFsync = 100 * time.Millisecond

// events are what happened, oldest first, and their file. An event that goes on
// is written when it is over.
type events struct {
	list  []Event
	going map[Kind]*condition

	file   file
	unsent []Event // not in the file yet
}

// condition is an event that goes on.
type condition struct {
	Event
	number int // of what is counted in the detail
}

func (e *events) add(event Event) {
	e.list = append(e.list, event)
	e.unsent = append(e.unsent, event)
	if excess := len(e.list) - maxEvents; excess > maxEvents/4 {
		e.list = slices.Delete(e.list, 0, excess)
		e.file.outdated()
	}
}

// began marks the beginning of a process, perhaps the first one.
func (e *events) began(how Begin, now time.Time, first bool) {
	event := Event{At: now, Until: now, Kind: Restart}
	switch {
	case how == TookOver:
		event.Kind = Takeover
		event.Detail = "Another process serves since, over the same connections."
	case first && len(e.list) == 0:
		event.Kind = Start
	case len(e.list) > 0 && e.list[len(e.list)-1].Kind == Stop:
		event.Detail = "After an orderly stop."
	default:
		event.Detail = "The process before did not stop in an orderly way."
	}
	e.add(event)
}

// ended marks the end of what goes on and, if it ends for good, of the process.
func (e *events) ended(now time.Time, forGood bool) {
	for _, kind := range Kinds {
		if c := e.going[kind]; c != nil {
			e.over(c)
		}
	}
	if forGood {
		e.add(Event{At: now, Until: now, Kind: Stop})
	}
}

// watch marks what an interval shows.
func (e *events) watch(i *interval) {
	if i.before.samples == nil {
		return
	}
	slow, limit := slower(i, slowFsync)
	e.mark(i, SlowFsync, slow, fmt.Sprintf("%%d fsyncs of the log took more than %v.", limit.Round(time.Millisecond)))
	e.mark(i, SlowDisk, whole(i.added("cairn_disk_slow_operations_total")), "%d operations of the disk took seconds.")
	stalls := whole(i.added("cairn_write_stalls_total"))
	e.mark(i, Stall, max(stalls, whole(total(i.now.samples, "cairn_write_stalled"))), "%d times writes waited for flushes or compactions.")
	e.mark(i, OutOfSpace, whole(total(i.now.samples, "cairn_out_of_space")), "")
	e.mark(i, ReadOnly, whole(total(i.now.samples, "cairn_read_only")), "")
	e.mark(i, Election, whole(i.added("cairn_cluster_leader_changes_total")), "%d times this node learned of another leader, or of none.")
	e.mark(i, NoLeader, whole(total(i.now.samples, "cairn_cluster_groups_without_leader")), "")
}

func whole(n float64) int {
	if math.IsNaN(n) {
		return 0
	}
	return int(n)
}

// slower returns how many fsyncs took longer than the first bound of their
// histogram that is at least limit, and that bound.
func slower(i *interval, limit time.Duration) (n int, bound time.Duration) {
	t := i.timesOf(fsyncs)
	left := t.Count
	for j, b := range t.Bounds {
		left -= min(left, t.Counts[j])
		if b >= limit {
			return int(left), b
		}
	}
	return 0, limit
}

// mark notes that something was seen n times in an interval. detail has a place
// for the number, or is empty.
func (e *events) mark(i *interval, kind Kind, n int, detail string) {
	c := e.going[kind]
	if n == 0 {
		if c != nil {
			e.over(c)
		}
		return
	}
	if c == nil {
		if e.going == nil {
			e.going = map[Kind]*condition{}
		}
		c = &condition{Event: Event{At: i.before.time, Kind: kind}}
		e.going[kind] = c
	}
	c.number += n
	c.Until = i.now.time
	if detail != "" {
		c.Detail = fmt.Sprintf(detail, c.number)
	}
}

func (e *events) over(c *condition) {
	delete(e.going, c.Kind)
	e.add(c.Event)
}

// between lists what happened from one time to another, by when it began.
func (e *events) between(from, to time.Time) (list []Event) {
	for _, event := range e.list {
		if !event.Until.Before(from) && !event.At.After(to) {
			list = append(list, event)
		}
	}
	for _, c := range e.going {
		if !c.Until.Before(from) && !c.At.After(to) {
			list = append(list, c.Event)
		}
	}
	slices.SortStableFunc(list, func(a, b Event) int { return a.At.Compare(b.At) })
	return list
}

func (e *events) dropAfter(now time.Time) {
	n := len(e.list)
	e.list = slices.DeleteFunc(e.list, func(event Event) bool { return event.At.After(now) })
	if len(e.list) < n {
		e.file.outdated()
	}
}

const (
	eventsFile   = "events"
	eventsHeader = "events"
)

func (e *events) open(dir string, now time.Time, setAside func(string, error) error) error {
	e.list, e.unsent, e.going = nil, nil, nil
	frames, err := e.file.open(path(dir, eventsFile), setAside)
	if err != nil || len(frames) == 0 {
		return err
	}
	oldest := now.Add(-coarseKeep)
	for _, frame := range frames[1:] {
		if event, ok := parseEvent(frame); ok && !event.At.Before(oldest) {
			e.list = append(e.list, event)
		}
	}
	if len(frames) > maxEvents*5/4 {
		e.list = e.list[max(0, len(e.list)-maxEvents):]
		e.file.outdated()
	}
	e.dropAfter(now)
	return nil
}

func (e *events) save(dir string) error {
	if e.file.isOutdated() {
		e.unsent = slices.Clone(e.list)
	}
	frames := make([][]byte, len(e.unsent))
	for i := range e.unsent {
		frames[i] = appendEvent(&e.unsent[i])
	}
	err := e.file.save(path(dir, eventsFile), []byte(eventsHeader), frames)
	if err == nil {
		e.unsent = nil
	}
	return err
}

// appendEvent is the frame of an event: when it began and ended, its kind, and
// after a NUL its detail.
func appendEvent(e *Event) []byte {
	frame := binary.LittleEndian.AppendUint64(nil, uint64(e.At.UnixMilli()))
	frame = binary.LittleEndian.AppendUint64(frame, uint64(e.Until.UnixMilli()))
	return append(frame, string(e.Kind)+"\x00"+e.Detail...)
}

func parseEvent(frame []byte) (e Event, ok bool) {
	if len(frame) < 16 {
		return e, false
	}
	e.At = time.UnixMilli(int64(binary.LittleEndian.Uint64(frame)))
	e.Until = time.UnixMilli(int64(binary.LittleEndian.Uint64(frame[8:])))
	kind, detail, _ := strings.Cut(string(frame[16:]), "\x00")
	e.Kind, e.Detail = Kind(kind), detail
	return e, slices.Contains(Kinds, e.Kind)
}
