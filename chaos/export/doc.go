// Package export gives what is known of a run that goes on to other systems, while it
// does: metrics to be scraped, metrics and spans that are pushed, events to a webhook.
//
//	recorder, adhoc ── a second, an event, the rulings ─▶ Live ─▶ snapshot ◀─ scrape
//	                                                        │        ◀──────── OTLP, every 10 s
//	                                                        └─▶ bounded queue ─▶ webhook, spans
//
// # Design
//
//   - The run never waits for a receiver. What it tells is put into a snapshot that
//     readers take without a lock, and into queues with an end: what finds no room is
//     left out, and counted in a metric of its own. A receiver that is dead, slow or
//     hangs changes that counter and nothing else.
//   - Nothing is on the path of a request. All that is told are the aggregates that the
//     recorder makes of each second anyway, once it is over.
//   - A percentile of a dashboard is computed from histograms, which add up over routes,
//     time and machines: those of the HdrHistogram are counted over into Prometheus's
//     fixed buckets and into exponential ones.
//   - Labels are what an experiment names: routes, links, faults, claims. No id of a
//     request or of a run is one, and there are at most so many of each.
package export
