// Package gameday is what is left of a game day beside its run: the journal of who
// did what, what that comes to, and the experiment that does it again.
//
//	hands of people ──▶ journal.jsonl ──▶ Summary: predictions, detected, mitigated
//	      │              (chain of hashes)
//	      ▼
//	timeline.jsonl ──▶ Export ──▶ an experiment whose faults come when they came
//
// # Design
//
// A journal that says who broke what must not be changed afterwards without a trace:
// each line carries the hash of the line before it, so that a line that is changed,
// left out or put in shows; and the journal is sealed with the run directory when the
// run ends, so that lines cut off its end show too.
//
// The journal is about people, and rulings never look at it: what was done to the
// system is in the timeline, as of any run.
package gameday
