// Package series is a run over its length, bounded at any length: what reports draw.
// It decides nothing, and is pure: what a second saw comes as arguments.
//
//	ticks ─────────────┐            ┌─▶ whole: at most MaxColumns columns of whole seconds
//	routes' intervals ─┼──▶ Build ──┼─▶ windows around faults: columns of one second
//	links' intervals ──┘            └─▶ phases: before, during and after the faults
//	a load's seconds ─────▶ Live ─────▶ whole
//
// # Design
//
// A column has all of its seconds in it: counts are summed, histograms merged and
// gauges taken at both ends. Percentiles are those of the merged histogram, never a
// mean of percentiles or one second out of many: a spike of one second in a day is in
// the maximum of its column.
//
// Intervals are gone through once, in their order, and of the histograms only those of
// the columns that are open are in memory: it is bounded by columns times rows, and not
// by the length of the run.
package series
