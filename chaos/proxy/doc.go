// Package proxy is the link: a relay that passes HTTP/1.1, HTTP/2 and gRPC
// between a caller and a dependency, records every exchange and does to it what
// the toxics in force decide. Whatever else is spoken it passes as connections
// and bytes, and does to those what toxics decide: see Streams below.
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
// # HTTP/2 and gRPC
//
// Every stream is an exchange (mux.go). It is a wire for streams, and ends them
// as they end; heads are decoded and encoded again, because compression has a
// state on each connection. Windows, settings and numbers of streams are each
// leg's own: what a peer may send of a stream is what was passed on and a
// little more, so that a slow caller holds up the dependency, and a stream that
// a fault holds holds up no other. PING and GOAWAY pass from end to end, and the
// number of streams that the dependency takes at once is the caller's too. A PING
// waits while a partition holds all exchanges in progress.
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
//
// # TLS
//
// Either side may have it, whatever is spoken (transport.go; edge.go for
// connections). A caller's handshake comes before there is an exchange; one with
// the dependency that fails is a dependency that cannot be reached. FIN and RST
// pass as they are; a FIN without the alert that should come before it counts as
// one with it.
//
// # In flight
//
// A caller that is out of a response's last byte can be in its next request
// before our write returns. So an exchange ends, and leaves the number in
// flight, just before that write; whoever counts never sees more calls than the
// callers hold.
//
// # Streams
//
// A relay of toxic.ProtocolTCP knows connections and bytes, whatever is spoken: redis,
// PostgreSQL, TLS. One thread with an event loop serves all its connections,
// because two goroutines for each cost more than the pass itself.
//
//	caller ──▶ read ──▶ Shapers ──▶ backlog ──when due──▶ write ──▶ dependency
//	             ├──────── nothing shapes it ──────────────┤
//	             └──────── in bulk: splice through a pipe ─┘
//
// A Stream decides what holds for a connection at a moment (StreamFate), and, if
// it is a Shaper, when a piece of bytes goes on. Both are pure; the loop acts.
// Chance is drawn per connection, from the seed and the connection's number.
//
// What is delayed waits in pieces that know what each toxic has added to them,
// so that taking one toxic out leaves the delays of the others and the order of
// the bytes. A toxic that comes is about bytes that come after it; one that
// stalls is about those under way too. A change is a snapshot for the loop,
// which brings every connection in line before it goes on with the bytes: the
// control plane waits for what the loop is just doing, and never for a peer.
//
// As far as bytes and ends go the relay is a wire here too, and half-closed
// connections stay so. What user space cannot do: the kernel accepts before we
// are asked, and acknowledges what fits into its buffers. So SlowConnect and
// StreamPartition show as silence behind a connect(2) that succeeds; only Down,
// for all connections, stops listening, and callers are refused. A RST overtakes
// bytes for which the receiver has no room.
package proxy
