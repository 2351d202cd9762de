// Package judge rules on claims. Every claim is a pure function of the
// evidence: no clock, no chance, no file.
//
//	evidence.Run ──▶ Claim.Judge ──▶ Verdict {held | refuted | inconclusive, reason, numbers, ids}
//
// # Design
//
// Held is the hard ruling. It takes that the fault is seen to have hit, that
// the state under test was visited (a breaker that was never seen open has not held),
// and that the harness was well enough to tell. Where one of these is missing
// the ruling is inconclusive and the reason names what would help.
//
// A time bound is refuted only by more than the host's own noise in the same
// window; between the bound and that lies inconclusive. Counts are exact and
// need no such margin.
package judge
