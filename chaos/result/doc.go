// Package result is what a run came to: what result.json has, made out of the
// evidence and the claims.
//
//	evidence, claims ──▶ chaos/judge ──▶ verdicts ─┐
//	evidence, histograms ──▶ routes, links, faults,├──▶ Result ──▶ reports
//	                         the harness itself    ─┘
//
// # Design
//
// A result is a pure function of what is on disk: the same run gives the same
// result, right after it and years later.
package result
