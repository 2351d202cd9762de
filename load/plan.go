package load

import "time"

// Plan is everything one load needs to know. It is read-only while it runs.
type Plan struct {
	Schedule Schedule
	Seed     uint64 // decides which arrival takes which route
	Run      uint64 // identifies the run in request ids, so that a relay knows its own; not 0
	Routes   []Route
	Loops    int    // event loops; 0 means one per core (GOMAXPROCS)
	IDHeader string // header that carries the request id beside traceparent; "" means X-Request-Id

	MaxConns int           // connections per address over all loops; past this, arrivals queue and their wait counts; 0 means 1024
	Grace    time.Duration // how long after the schedule's end queued arrivals may still be sent and requests finish; 0 means the longest route timeout
}

// Route is a named kind of request. Arrivals are spread over the routes by
// weight, by a draw that depends only on Plan.Seed and the arrival's number.
type Route struct {
	Name    string
	Weight  float64 // share of the arrivals relative to the other routes; 0 means 1
	Addr    string  // ip:port to dial, the name already resolved
	Host    string  // Host header; "" means Addr
	Method  string  // "" means GET
	Path    string  // origin form with query; "" means /. ${id} is replaced by the request id
	Headers [][2]string
	Body    []byte        // ${id} is replaced here too
	Timeout time.Duration // from sending to the last byte, or from the beginning of the dial if the request had to wait for one; 0 means 10s
}

// Observe receives each arrival exactly once, from the loop that owns the
// shard. It is on the path of the next arrival: it must not block or allocate.
// Calls for one shard never overlap; different shards call at once.
type Observe func(shard int, s Sample)
