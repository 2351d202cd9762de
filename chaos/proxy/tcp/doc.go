// Package tcp relays connections and bytes, whatever is spoken: redis, PostgreSQL,
// TLS. Event loops on threads of their own, at most as many as cores, serve the
// connections of all links (pool.go), because two goroutines for each cost more than
// the pass itself.
//
//	caller ──▶ read ──▶ Shapers ──▶ backlog ──when due──▶ write ──▶ dependency
//	             ├──────── nothing shapes it ──────────────┤
//	             ├──────── in bulk: splice through a pipe ─┤
//	             └──────── in small: io_uring ─────────────┘
//
// # Design
//
// A toxic.ConnToxic decides what holds for a connection at a moment (ConnFate), and,
// if it is a Shaper, when a piece of bytes goes on. Both are pure; the loop acts.
//
// What is delayed waits in pieces that know what each toxic has added to them, so
// that taking one toxic out leaves the delays of the others and the order of the
// bytes. A toxic that comes is about bytes that come after it; one that stalls is
// about those under way too. A change is a snapshot for the loop, which brings every
// connection in line before it goes on with the bytes: the control plane waits for
// what the loop is just doing, and never for a peer.
//
// As far as bytes and ends go the relay is a wire, and half-closed connections stay
// so. What user space cannot do: the kernel accepts before we are asked, and
// acknowledges what fits into its buffers. So SlowConnect and Partition show as
// silence behind a connect(2) that succeeds; only Down, for all connections, stops
// listening, and callers are refused. A RST overtakes bytes for which the receiver
// has no room.
package tcp
