// Package rollup keeps the seconds and histogram logs of a soak within a bound: each
// second of the last hour, ten seconds merged in the last day, a minute before that.
//
//	second ─▶ segment 17 (open) · 16 (1 s) · 15 ... (10 s) · ... 0 (1 min)
//	                              closed ──────────▶ written anew beside, and renamed
//
// # Design
//
// Histograms are merged, which is exact: the percentiles of a minute are those of its
// requests. Counts are summed, and of gauges the worst second is kept.
//
// A segment is an hour, with a file for the seconds and one for each log. Files are
// replaced whole, one by one: a roll-up that was killed leaves the old one or the new
// one, and readers take whichever there is.
package rollup
