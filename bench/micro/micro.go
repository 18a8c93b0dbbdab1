// Package micro holds the micro-benchmarks of what every request passes
// through: the parsers, the replies and the records. The store's own stand
// beside it in engine. bench/micro/compare runs them all.
package micro
