// Package api serves proxies by an HTTP API that toxiproxy's clients speak:
// users of toxiproxy 2.12 change nothing but the address.
//
//	client ──▶ guard ──▶ route ──▶ checked input ──▶ entry ──▶ relay (package proxy)
//	          token,              names resolved,     ops:        │ bytes, exchanges
//	          no browsers         no lock held        one change  ▼
//	                                                  at a time  upstream
//	client ◀── view ◀──────────── mu: a few assignments ◀─┘
//
// # Design
//
// What toxiproxy answers, we answer: status, text and the order of checks are
// compared with recordings of it (testdata/toxiproxy.golden), and what differs
// on purpose stands there with its reason. What it breaks, we do not:
//
//   - No call hangs, whatever the data path does. A proxy's changes are ordered
//     by a lock of its own that readers do not take; a change of toxics waits
//     for the turn that the relay is in, and for no peer; a relay that is closed
//     has given up its port and its connections before any call waits for it, and
//     no call waits for long.
//   - No input ends the process, and chance has a seed.
//   - A proxy is created with its toxics in force, before its first connection.
//
// Beyond toxiproxy there are fields that its clients leave out: "protocol"
// makes a proxy speak HTTP or gRPC, so that toxics work on exchanges; "ttl" makes a
// toxic or a proxy a lease, which ends by itself unless it is renewed, because
// a test that is killed takes nothing out; stream "both" is for both ways.
// Types that toxiproxy does not have take the keys that they have in an
// experiment file, read by the same reader and as strictly.
//
// Upstreams are on loopback unless more is allowed, which is checked when a
// proxy is asked for, so that the client is told, and at every dial, because names change
// what they stand for.
//
// Counts come from the relay and are read when metrics are asked for. What
// a toxic has hit is kept when the toxic goes: that is when tests look.
package api
