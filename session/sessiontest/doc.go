// Package sessiontest says what a session.Store must do, in three forms:
//
//   - [Model] is the reference: package memory's store, which spells out every
//     rule of package session as plainly as possible. Front ends use it in their
//     tests instead of a mock.
//   - [Run] is the conformance suite. Every kind of Store runs it from a test
//     of its own, giving it a function that opens one.
//   - [Lockstep] feeds the same random bursts, made by a [Generator], to a
//     Store and to a Model, and compares what comes back with [Versions].
//     Tests of crashes clone the model with [Model.Clone] and ask
//     [Lockstep.Verify] which of the allowed states survived.
//
// Versions are the one thing in which two right stores differ. [Versions]
// keeps the correspondence between the model's numbers and the store's, and
// thereby proves that the store repeats none.
package sessiontest
