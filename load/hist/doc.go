// Package hist keeps times in HDR histograms: per shard while they are recorded,
// merged per interval and over a run, and in logs on disk. It is the only
// importer of hdrhistogram-go.
//
//	event loop 0 ── Record ──▶ Recorder ─┐                ┌─▶ interval ──▶ LogWriter ─▶ front.hlog
//	event loop 1 ── Record ──▶ Recorder ─┴─ Collector ────┤                                │
//	                                        once a second └─▶ total        ReadLog ◀───────┘
//
// # Design
//
// Values are nanoseconds. The standard tools (HistogramLogProcessor,
// HistogramLogAnalyzer, jHiccup's) divide by 1,000,000 to print milliseconds
// unless told otherwise, so a log of ours is right in them as it is.
//
// Every histogram has the same shape: values up to one hour, 3 significant
// digits (each value is known to 0.1 %, times below 1 ms to 0.5 µs), and
// takes memory for the times that it has seen. What is above the range is recorded as one hour and
// counted as clamped: the count stays right, and the tail is a lower bound. Dropping it
// would be the very omission that the response time is there to prevent. No timeout
// may be longer than that, so that only who waits for an hour to be sent is clamped.
//
// A quantile is the upper end of its bucket, so it is never below the recorded
// value and at most 0.1 % (or 0.5 µs) above.
package hist
