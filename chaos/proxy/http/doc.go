// Package http relays exchanges: HTTP/1.1 (h1_*.go), HTTP/2 and gRPC (h2_*.go), over
// one lifecycle of an exchange (exchange.go):
//
//	caller ──▶ request head ──▶ begin ──▶ toxics decide ──▶ Fate ──▶ relay acts ──▶ dependency
//	                                                                  │
//	                          recorder ◀── finish ◀── recordHits ◀────┘
//
// # Design
//
// A fate is looked at as late as can be, and again after every wait. A response to
// whose body something is done is passed on piece by piece for that, all others in
// the pieces in which they are read. What happens to a body is noted in the record
// when it happens, not when it is decided: a toxic that came to nothing has not hit.
//
// A caller that is out of a response's last byte can be in its next request before
// our write returns. So an exchange ends, and leaves the number in flight, just
// before that write: there are never more in flight than the callers hold.
//
// # HTTP/1.1
//
// Each connection has two goroutines. The caller's side (h1_downstream.go) reads all
// the time, so it sees at once that the caller leaves, and it does everything but
// pass on responses; the dependency's side (h1_upstream.go) does that. They share
// one exchange under the connection's lock, which is not locked during reads and
// writes. What has to wait for a delay waits in a read with a deadline, and what has
// to be woken is woken by a deadline in the past: no timer and no allocation per
// exchange.
//
// An upgrade that was agreed, and a message of either side that cannot be read,
// make a tunnel of the connection (h1_tunnel.go). The latter is counted
// (link.Relay.Unread), and its exchange ends as evidence.Unread. A request whose
// head cannot be read is an exchange without method and path, which lasts until both
// sides have closed. Where the relay differs from a wire:
//
//   - A caller that closes its side while it waits for a response has left: the
//     dependency's side is closed at once, and what it still answers is
//     dropped. Only what is a tunnel by then can be half closed, and not what a fault
//     holds because it could not be read.
//   - A request behind one that is not answered yet (pipelining) waits for it.
//   - A response that was not asked for passes, and so does all that follows it
//     on that connection; servers send such before they close. If the caller goes
//     on all the same, that is an exchange that cannot be read.
//   - The beginning of a head is held back until all of it is there, or it is known
//     to be none.
//
// # HTTP/2 and gRPC
//
// Every stream is an exchange (h2_conn.go). The relay is a wire for streams, and ends
// them as they end; heads are decoded and encoded again, because compression has a
// state on each connection. Windows, settings and numbers of streams are each side's
// own: what a peer may send of a stream is what was passed on and a little more, so
// that a slow caller holds up the dependency, and a stream that a fault stalls holds
// up no other. PING and GOAWAY pass from end to end, and so do the number of streams
// that the dependency takes at once and whether it takes extended CONNECT (RFC 8441):
// it is dialled as soon as the caller has begun, to know them (h2_greet.go). A stream
// that has become a tunnel is one as over HTTP/1.1: what is done to bodies is not done
// to it. A PING waits while a partition stalls all exchanges in progress.
//
//   - What resets a connection of HTTP/1.1 resets a stream, by INTERNAL_ERROR, and
//     the connection with its other calls goes on; Fate.Connection is for the
//     connection. To gRPC the former is INTERNAL, the latter UNAVAILABLE.
//   - An answer of ours waits for the end of the request, and to gRPC for its first
//     message. Its status is that of gRPC which stands for the one of HTTP
//     (httpToGRPC), in trailers alone; what is recorded is what callers make of
//     it (wire.GRPCToHTTP), also of the dependency's own answers.
//   - A stream that the dependency resets is one that it failed to answer. One that
//     is not on its way when the dependency goes away (GOAWAY) is refused, which
//     callers may take as leave to try again.
//   - Priorities, pushes and extensions do not pass.
//   - A truncated response ends as if it were whole if a content-length, or what
//     gRPC says of its messages, tells that it is not; by a reset otherwise.
//   - The second delivery of a request shares the connection with the first, and
//     ends with it.
//   - A caller that speaks HTTP/1.1 is served as on a link of HTTP/1.1.
package http
