// Package chaos runs experiments: it starts the targets, drives the load,
// injects and heals the faults of a timeline, records what both sides saw, and
// has it judged.
//
//	experiment ──▶ testbed (targets, links) ──▶ load + timeline ──▶ recorder ──▶ run directory ──▶ Judge ──▶ Result
//	                                            one start             │
//	                                                 │                └─▶ limits, progress
//	                       links in our process ◀────┴────▶ host faults under a lease ──▶ guardian
//
// # Design
//
// Nothing but what is on disk is judged. A run that was killed and one that
// ended well are read by the same code.
//
// What goes wrong once the load has begun is a finding, not an error: it is
// recorded with its time, healed, and told. Errors are for runs that could not
// begin.
package chaos
