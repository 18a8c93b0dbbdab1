// Package log is a commit log: records in order, durable by group commit, in
// recycled and preallocated segments. DESIGN.md has the format and why it is so.
//
// A record is bytes; the log does not look into it. Its place is a Position.
// Append puts records in order and keeps them in memory, Sync makes them durable,
// Read and Replay bring them back, Truncate drops old ones. After a crash,
// Open has every record that Sync has called durable and perhaps some more that
// were appended, always without a gap.
package log
