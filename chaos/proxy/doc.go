// Package proxy is the link: a relay that passes HTTP/1.1 between a caller and
// a dependency, records every exchange and does to it what the toxics in force
// decide.
//
//	caller ──▶ request head ──▶ toxics decide ──▶ Fate ──▶ relay acts ──▶ dependency
//	                                                         │
//	                                                         └──▶ evidence.Exchange
//
// # Design
//
// Toxics decide, the relay acts. The relay reads the toxics from an atomic
// snapshot at every exchange, and the data path takes no lock of the control
// plane. A change of toxics reviews the exchanges in progress, one connection's
// lock at a time, so it acts at once on open connections and on calls in flight.
//
// Chance is drawn per exchange from the experiment's seed and the exchange's
// request id, not from the order in which connections happen to be served:
// the same seed hits the same requests.
//
// What a toxic counts (the third request, five at a time) the relay counts for
// it, by atomics, and tells it: Decide stays pure. A toxic that comes and goes
// (Cycle) is injected and healed again and again by a goroutine of its own.
//
// A fate is looked at as late as can be, and again after every wait. A response
// to whose body something is done is passed on piece by piece for that, all
// others in the pieces in which they are read. What happens to a body is noted
// in the record when it happens, not when it is decided: a toxic that came to
// nothing has not hit.
//
// The relay is a wire. Bytes pass unchanged, each caller's connection has one
// of its own to the dependency, dialled when the first request comes, and how
// one side ends is how the other sees it end: a FIN as a FIN, a reset as a
// reset, on idle connections too. A refused dial shows as a reset, because the
// caller has connected already. What is not HTTP/1.1 passes as one exchange
// without method and path, until both sides have closed. Where it differs from
// a wire:
//
//   - A caller that closes its side while it waits for a response has left: the
//     dependency's side is closed at once, and what it still answers is
//     dropped. Only tunnels (101, CONNECT) can be half closed.
//   - A request behind one that is not answered yet (pipelining) waits for it.
//   - A response that nobody asked for passes, and so does all that follows it
//     on that connection, unrecorded; servers send such before they close.
//
// Each connection has two goroutines. The caller's side reads all the time, so
// it sees at once that the caller leaves, and it does everything but pass on
// responses; the dependency's side does that. They share one exchange under
// the connection's lock, which nobody holds while reading or writing. What has
// to wait for a delay waits in a read with a deadline, and what has to be woken
// is woken by a deadline in the past: no timer and no allocation per exchange.
//
// A caller that is out of a response's last byte can be in its next request
// before our write returns. So an exchange ends, and leaves the number in
// flight, just before that write; whoever counts never sees more calls than the
// callers hold.
package proxy
