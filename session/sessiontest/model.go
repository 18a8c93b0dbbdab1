package sessiontest

import "cairn/session/memory"

// Model is the reference that stores are compared with.
type Model = memory.Store

// NewModel makes an empty model that keeps values of at most maxValueSize bytes (0:
// session.DefaultMaxValueSize).
func NewModel(maxValueSize int) *Model { return memory.New(maxValueSize) }
