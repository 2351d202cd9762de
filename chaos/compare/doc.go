// Package compare decides whether a system is worse than it was: two sides of
// runs, base and now, come in as measures, and a ruling comes out.
//
//	run directories ─▶ chaos.Measure ─▶ Run, Run, ... ─▶ Compare ─▶ Comparison ─▶ reports
//
// It is pure: the same measures give the same ruling.
//
// # Design
//
// A ruling has three values. Worse: the change is beyond its tolerance, with 95%
// confidence. Not worse: it is within it, with the same confidence. Undecided:
// these runs cannot say, and the row has what they could have found.
//
// The tolerance is part of the method. Two systems that are equal are never quite
// equal as they run: without it any method alarms once it has enough data. It has
// two halves, relative and absolute, and a change is worse only beyond both: 3% of
// 0.1 ms is nobody's concern, nor is 0.2 ms of 10 s.
//
// The unit is the run. What differs from run to run of one binary, the host and
// its neighbours, the layout of memory, is not in the seconds of any single run,
// however many there are, and neither are they independent. So:
//
//   - several runs a side: Welch's t on the logarithms of their percentiles, each
//     of a run's merged histogram;
//   - a duet, two runs of one schedule at one time: what disturbs the one disturbs
//     the other, so blocks of their time are paired;
//   - one run against one at another time: as far as the spread of the base's own
//     history allows, or of what was found to be usual (see metric.spread).
//
// Several metrics are looked at, and one of them would be beyond by chance sooner
// or later: Holm's procedure keeps the chance over all of them.
package compare
