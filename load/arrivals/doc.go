// Package arrivals says when requests are due: the open model, in which that is
// fixed before the run and does not depend on how the system copes.
//
//	Constant, Poisson ─┐
//	Spike, Stages ─────┼─ a rate, Λ⁻¹ ─┐
//	Sine ──────────────┘               ├─▶ Schedule ──Stripe(k, n)──▶ Cursor of event loop k
//	Replay ── times from a file ───────┘      ▲
//	                                  First, Warmed
//
// # Design
//
// Times are multiplied out and never added up, so a schedule does not drift
// however long it lasts. A schedule that is dealt out in stripes has the same
// arrivals whatever their number, so a run can be repeated with other loops.
//
// What a Schedule offers can be asked before the run, too: Rate and Duration
// tell loops how to wait, and claims what they can decide.
package arrivals
