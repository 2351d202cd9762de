// Package load makes requests fall due on a schedule and reports what each of
// them came to.
//
//	Schedule ──stripe k of n──▶ loop k ──codec──▶ transport ──▶ system under test
//	                              │     ◀──codec──  ◀──────────
//	                              └──Sample──▶ Observe(k, …)
//
// # Design
//
// The model is open: when a request is due is fixed before the run and does
// not depend on how the system copes. Every time in a Sample counts from the
// intended one's clock, so a stall of the system, of a connection or of this
// package shows in response times and is not omitted.
//
// When requests are due is load/arrivals; what the machine does meanwhile is
// measured by load/meter; health.go decides from both, and from what the loops
// count (stats.go), whether the harness was well.
//
// Event loops share nothing. Loop k of n has the arrivals k, k+n, k+2n, ... of
// the schedule, its own connections, poller and deadlines, on a thread of its
// own. Which route arrival i takes depends on the seed and on i alone, so a
// run can be repeated with another number of loops.
//
// A loop knows arrivals, connections and deadlines. How a request is written and
// its response read is a codec's business (codec.go); how bytes travel is a
// transport's: epoll (epoll.go), io_uring (iouring.go), or package net where
// there is neither (portable.go). All pass the same tests.
//
// The closed model (closed.go) is there for comparison with other tools.
//
// While it waits, a loop keeps its right to run Go code and does not tell the
// scheduler: see poll.WaitStrategy.
//
// Over TCP the kernel notes when it received a response (rxtimestamp.go), and a loop
// that sleeps until a request falls due within a millisecond lets responses
// wait until then (coalesce.go): half of the wake-ups, which are most of the cost
// at a fixed rate, and Done is no later for it.
//
// In one turn a loop sends all that is due, gives up what is overdue, sleeps,
// and handles what became ready. A connection is registered once, edge
// triggered. Requests are encoded before the run and their holes filled as they
// are sent; responses are parsed where they were read, and bodies are not kept
// unless a route checks them. In the steady state nothing is allocated, but for
// checks of JSON, for headers that are checked over HTTP/2, and for what one
// request of a chain gives to the next.
//
// A codec is how a protocol uses a connection: HTTP/1.1 takes turns on it, and
// HTTP/2 shares it between streams. What HTTP/2 has to send in one turn is
// collected and written at its end, once per connection, so that most of the cost
// of a request, which is the kernel's, is paid by many together. A request that
// runs out of time ends its stream; the connection lives on, as it does in most
// clients, even if it is the connection that is dead.
//
// A request that the system may have processed is never repeated. If the system
// closes an idle connection, that is noticed and the connection is not used
// again; if the close crosses a request on its way, the outcome is Reset: the
// caller of a real system sees the same, and a retry that is not in the samples would
// falsify what is counted behind it. So it is with a dial: the arrival that dials
// owns what becomes of it.
//
// Over HTTP/2 a server says which requests it has not processed: those on streams
// above the last one of its GOAWAY (RFC 9113 section 6.8), and those whose stream
// it refuses (8.7). It does so in ordinary operation, and clients send them again
// on another connection. So do we: such a request goes back to the queue with its
// intended time, so that its response time counts all of it, and Stats counts it.
// A server that takes nothing at all has its requests three times; then they are
// Reset. What no server has processed by the run's end is Unsent.
//
// Failures of the host are not blamed on the system: an arrival for which no
// descriptor or local port is left is Unsent, not Refused.
package load
