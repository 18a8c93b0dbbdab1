package group

import "cairn/session/codec"

// A Level says which entries there are in the log, and what bursts may have in them.
// The log says which one holds: it is raised when all nodes know the next.
type Level uint8

const (
	levelBegin  Level = 2 // bursts, ticks, registrations: how every log begins
	LevelRoster Level = 3 // and rosters, and changes of who the replicas are
	LevelCheck  Level = 4 // and checks

	// Latest is the highest level that this version knows.
	Latest = LevelCheck
)

// Codec is the level of bursts.
func (l Level) Codec() codec.Level { return min(codec.Level(l), codec.Latest) }
