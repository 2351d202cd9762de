// Package proxy is the link: a relay between callers and a dependency that records
// what passes and does to it what the toxics in force decide. It binds the address
// and joins what does the work:
//
//	proxy        Listen, Config; TLS around a relay of connections (bridge.go)
//	proxy/http   exchanges: HTTP/1.1, HTTP/2 and gRPC
//	proxy/tcp    connections and bytes, whatever is spoken
//	proxy/link   what both have: the record of an exchange, counters, the end of it all
//	proxy/transport  TCP connections, TLS on them, dials, certificates
//	proxy/api    the HTTP API of stormctl proxy
//
// What a fault is, chaos/toxic says; a relay only acts.
//
// # Design
//
// Toxics decide, the relay acts. The relay reads the toxics from an atomic
// snapshot at every exchange, and the data path takes no lock of the control
// plane. A change of toxics reviews what is in progress, one connection at a time,
// so it acts at once on open connections and on calls in flight.
//
// What a toxic counts (the third request, five at a time) the relay counts for it:
// to decide stays pure. One that comes and goes (Cycle) is injected and healed again
// and again by a goroutine of its own.
//
// The relay is a wire. Bytes pass unchanged, each caller's connection has one of
// its own to the dependency, and how one side ends is how the other sees it end: a
// FIN as a FIN, a reset as a reset, on idle connections too. A refused dial shows as
// a reset, because the caller has connected already.
//
// Either side may have TLS, whatever is spoken. A caller's handshake comes before
// there is an exchange; one with the dependency that fails is a dependency that
// cannot be reached. A FIN without the alert that should come before it counts as
// one with it.
package proxy
