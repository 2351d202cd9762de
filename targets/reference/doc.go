// Package reference holds the services that stormctl is tried on: a frontend
// that protects its calls with the resilience patterns of the libraries people
// really use, a page that makes many calls for one request, a worker that does so much
// at a time and no more, an rpc that speaks gRPC, and a dependency to call.
//
//	caller ──▶ frontend: dedupe( fallback( bulkhead( retry( breaker( timeout( transport )))))) ──▶ dependency
//	caller ──▶ worker: so many wait, so many are worked on
//	caller ──▶ rpc: calls of gRPC, tried again ──▶ dependency, or rpc
//	caller ──▶ page: list, then items and parts side by side ──▶ dependencies
//	caller ──▶ publisher ──▶ broker ──▶ consumer: order( dedupe( call)) ──▶ ledger
//	caller ──▶ saga: order, stock, payment, or undone ──▶ participants
//
// Each pattern has its flaws, each of which breaks that pattern in one way and
// leaves all else sound: a claim that does not refute its flaw proves nothing.
//
// # Design
//
// The package imports nothing else of stormctl, so that judge and judged share
// no bug.
//
// Patterns are http.RoundTrippers around each other, one chain per dependency.
// The order is that of the .NET standard resilience handler, and of
// resilience4j's aspects but for the bulkhead:
//
//   - timeout bounds one attempt, its answer read to the end.
//
//   - breaker sees every attempt. It rejects retries as it rejects calls, so
//     retries cannot hammer a dependency that it protects.
//
//   - retry repeats attempts. It never repeats what a breaker rejected.
//
//   - bulkhead is around all that calls. A permit is held for the whole call, waits between
//     attempts included: a bulkhead bounds what one dependency can take from
//     the caller, and a waiting call takes as much as a working one. Each call
//     has at most one attempt in progress, so no more calls are in progress at
//     the dependency than there are permits.
//
//   - fallback answers in place of whatever did not succeed.
//
//   - dedupe is outermost: what comes again is to have the answer that the first got, whichever it was.
//
// An attempt is over when its answer has been read in full. No layer ever sees
// half an answer, and no permit is given back while the dependency still sends.
//
// The dependency must keep up with 100,000 requests a second on less than the
// core it shares with their generator, which net/http does not. So it reads
// HTTP/2 and plain HTTP/1.1 by itself, and only what is neither goes to
// net/http. HTTP/1.1 costs what two system calls a request cost; over HTTP/2
// with many streams it is one pair for all that arrived together.
//
// Sound code knows nothing of flaws. flaw.go turns settings into wrong ones,
// or wraps a sound part into one that misbehaves.
package reference
