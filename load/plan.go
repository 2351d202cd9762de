package load

import (
	"crypto/tls"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/wire"
)

// Plan is everything one load needs to know. It is read-only while it runs.
type Plan struct {
	Schedule arrivals.Schedule // the open model
	Closed   *Closed           // the closed model instead; one of the two must be given
	Seed     uint64            // decides which arrival takes which route, and every ${rand}
	Run      uint64            // identifies the run in request ids, so that a relay knows its own; not 0
	Routes   []Route

	// InOrder has arrival i, counted from 0, take route i mod len(Routes), and
	// weights mean nothing; false draws a route for each.
	InOrder bool
	Data    *wire.Table // of ${data.COLUMN} in routes; nil means there is none
	Keys    uint64      // ${key} is a number from 1 to this, drawn for each arrival; 0 means there is none
	Values  Values      `json:"-"` // told of what routes write and read; must be given if any does
	// Loops is how many event loops there are; 0 means one per core (GOMAXPROCS), or,
	// in a closed model on this machine, one for every other core.
	Loops     int
	Stripes   Stripes // what this process sends of the load; zero is all of it
	Transport string  // IOURing, Epoll or Portable; "" means the best that the system has
	IDHeader  string  // header that carries the request id beside traceparent; "" means X-Request-Id
	Stats     *Stats  // where the event loops count what they do; nil is nowhere

	// MaxConns bounds the connections per address over all loops: past it, arrivals
	// queue and their wait counts; 0 means 1024. The closed model has its own number.
	MaxConns int
	// MaxQueue bounds the arrivals per address that queue, over all loops: past it,
	// one that falls due is Unsent at once; 0 means no limit, negative none may.
	MaxQueue int
	Pipeline int // requests under way on one HTTP/1.1 connection; 0 means 1
	Streams  int // requests under way on one HTTP/2 connection, as far as the peer allows as many; 0 means 100
	// Batch has a loop that has nothing else to do wake up for arrivals at multiples
	// of this only, and send those that have fallen due together: it costs less, and
	// makes them late by as much. 0 wakes up for each, but every 300 µs for those that
	// come less than 50 µs apart in a loop.
	Batch time.Duration
	// Grace is how long after the schedule's end queued arrivals may still be sent and
	// requests finish; 0 means the longest route timeout.
	Grace time.Duration

	ConnRequests int           // close a connection after this many requests; 0 means never
	ConnLifetime time.Duration // close a connection after the request in which it reaches this age, give or take half; 0 means never
	DialRate     rate.Limit    // new connections per second over all loops; past this, arrivals queue; 0 means no limit
}

// Route is a named kind of request. Arrivals are spread over the routes by
// weight, by a draw that depends only on Plan.Seed and the arrival's number; or
// they take them in turn, see Plan.InOrder.
type Route struct {
	Name   string
	Weight float64 // share of the arrivals relative to the other routes; 0 means 1
	Addr   string  // ip:port to dial, the name already resolved; or unix:PATH
	// Others are further ip:ports of the same service: connections lead to all of them in turn, whether one answers or
	// not. Routes with the same Addr and Others share connections.
	Others []string

	// TLS, if not nil, has ServerName set, or InsecureSkipVerify. Its NextProtos are
	// left aside: Protocol alone is offered. Routes with the same one share connections.
	TLS *tls.Config
	// Protocol is HTTP1, HTTP2 (without TLS by prior knowledge) or GRPC; "" means
	// HTTP1. What Auto comes to must be known: see Probe.
	Protocol string
	Host     string // Host header; "" means Addr, or localhost for a unix socket; the zone of an IPv6 address is left out
	Method   string // "" means GET, of GRPC always POST

	// Path is in origin form with query, of GRPC /package.Service/Method; "" means /.
	// Here, in header values and in the body the placeholders of wire.Fill are replaced.
	Path    string
	Headers [][2]string
	Body    []byte // of GRPC the encoded message, in which placeholders change no lengths; what frames it is added

	// Checks are what a right answer has, whatever its status; others are Wrong. A
	// body is kept, up to 1 MiB, if it is checked: a longer one is Wrong. Of GRPC the
	// status is that of HTTP which stands for the call's, headers are those before and
	// behind the message, and the body is the message.
	Checks []Check
	Then   []Step // what follows a right answer
	Writes bool   // it writes its request's own id to the register ${key}; to the only one where there are no keys
	// Reads is where in the answer the value of the register ${key} is: json:$.a.b,
	// header:NAME or body~REGEXP; "" means that the route does not read.
	Reads string
	// Follow is how many redirects in a row are followed, on the same scheme, host and
	// port alone; 0 follows none. Behind 301, 302 and 303 the request becomes a GET
	// without a body (a HEAD stays one), behind 307 and 308 it stays what it is. All of
	// it is one arrival, with one Sample, and each request has the timeout. Checks are of
	// the last response. A redirect to elsewhere, or past Follow, is Wrong; one without
	// a Location is a response like others. It goes neither with Then nor with GRPC.
	Follow int
	// Timeout is from sending to the last byte, or from the beginning of the dial if
	// the request had to wait for one; 0 means 10s. GRPC tells it to the server too.
	Timeout time.Duration
}

// Observe receives each arrival exactly once, and each Step that falls due, from the
// loop that owns the shard. It is on the path of the next arrival: it must not block
// or allocate. Calls for one shard never overlap; different shards call at once.
type Observe func(shard int, s Sample)
