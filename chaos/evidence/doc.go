// Package evidence holds what a run saw, in memory and on disk: samples
// (what callers got), exchanges (what each link saw), the faults with the
// times they were really injected and healed, and how well the harness itself
// did. It records; it does not judge.
//
//	load ──Sample──▶ front.csv ─┐
//	relay ─Exchange▶ link-*.csv ┼─▶ Read ──▶ *Run ──▶ chaos/judge
//	run ───Event───▶ timeline.jsonl
//
// # Design
//
// A ruling is always made from what is on disk, during a run as well as long
// after it, so that `stormctl judge DIR` cannot disagree with the run. All
// times count from the run's start on one monotonic clock: samples and exchanges
// can be compared without correction.
//
// Records are text, one line each: greppable at 3 a.m. and readable by any
// tool. A line is written whole or not at all as far as a reader is concerned:
// a torn last line, the mark of a kill -9, is left out.
package evidence
