package link

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// recorder is told about exchanges.
type recorder struct {
	start   time.Time
	observe func(evidence.Exchange)
}

// Record is that of Relay.
func (c *Counters) Record(start time.Time, observe func(evidence.Exchange)) {
	r := &recorder{start, observe}
	for _, x := range c.early.tell(func() { c.recorder.Store(r) }) {
		observe(x.on(r))
	}
}

// Record is the evidence of one exchange, or of one connection where there are no
// exchanges, from its begin to its end. All evidence of links is stamped here.
type Record struct {
	evidence.Exchange
	recorder *recorder // is told of it; nil if there was none when it began
	began    time.Time // of a connection from before the recorder; zero otherwise
	touched  *touched  // whose set is Further of its extras; nil if that is
}

// Begin opens x: it is in flight from now on.
func (c *Counters) Begin(x *Record) {
	x.recorder = c.recorder.Load()
	now := c.inFlight.Add(1)
	for peak := c.peak.Load(); now > peak && !c.peak.CompareAndSwap(peak, now); {
		peak = c.peak.Load()
	}
	x.InFlight = int32(min(now, math.MaxInt32))
	x.Seq = c.seq.Add(1)
	if x.recorder != nil {
		x.Begin = time.Since(x.recorder.start)
	}
}

// BeginConn is Begin for a connection, which is recorded even if it began, and ended,
// before there was a recorder: its times are negative then.
func (c *Counters) BeginConn(x *Record) {
	if c.Begin(x); x.recorder == nil {
		x.began = time.Now()
	}
}

// End closes x: it is in flight no more. It is for the caller of End to Tell when
// the bytes that end it are written.
func (c *Counters) End(x *Record, how evidence.Ending) {
	c.inFlight.Add(-1)
	x.Ending = how
	if !x.began.IsZero() {
		c.endEarly(x)
	} else if x.recorder != nil {
		x.End = time.Since(x.recorder.start)
	}
}

// Tell gives x to the recorder.
func (x *Record) Tell() {
	if x.recorder != nil {
		x.recorder.observe(x.Exchange)
	}
}
