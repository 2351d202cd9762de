// Package discover measures what a service does that nobody has claimed anything of:
// its timeout, its retries, its breaker, its bound on calls in progress.
//
//	Next(what is known) ──▶ trial: a load and faults ──▶ run ──▶ evidence ──▶ Learn ──▶ what is known
//	                                                                            │
//	                                                      figures, remarks, claims to paste
//
// # Design
//
// A trial is an experiment without numbers; what the next one is follows from what is
// known, so that nothing is waited for that is not there. Deciding is pure: Next, Learn
// and what is made of the findings know no clock and no file. Figures are intervals
// that hold the setting; they are measured as the claims measure them, and where a
// claim has a measure of its own (chaos/judge), that one is asked.
package discover
