package evidence

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// Data is registers that requests write and read. What a request writes is its own
// id, so that a read names the write that it saw; its sample has when it was sent and
// how it ended, and values.csv which register it was and what was written or read.
//
//	front.csv  id, route, ..., sent_ns, done_ns, ...     when, and how it ended
//	values.csv id, key, value                            what
//	header     access: route, data, writes               what a route does

// ValuesFile has what was written and read. A run without data has none.
const ValuesFile = "evidence/values.csv"

const valueHeader = "id,key,value\n"

// Access is what a route, or a step of one, does with data.
type Access struct {
	Route   string `json:"route"`
	To      string `json:"to"`                 // the target that is asked
	Data    string `json:"data"`               // the registers' name
	Writes  bool   `json:"writes,omitempty"`   // it writes; otherwise it reads
	NotDone []int  `json:"not_done,omitempty"` // of a write: statuses that promise that nothing was done
}

// Value is what one request wrote or read.
type Value struct {
	ID  uint64 // of the request
	Key uint64 // the register, from 1; 0 where the load has no keys
	// Value is the id of the request that wrote what was written or read here,
	// load.NoValue if nothing was there or no answer came, and load.ForeignValue if
	// it is no id of this run.
	Value uint64
}

// Certainty is how sure it is that a write took effect.
type Certainty uint8

const (
	Maybe Certainty = iota // at any time from when it was sent, also much later, or never
	Yes                    // it was acknowledged, so that it did before its end
	No                     // it did not: no byte of it left, or the service says so
)

var certaintyNames = [...]string{"maybe", "yes", "no"}

func (c Certainty) String() string { return certaintyNames[c] }

// Certainty is how sure it is that the write of a sample took effect. Whatever was
// not acknowledged may have, unless it is known that no byte of it was sent, or the
// service promises by its status that it did not: of timeouts and of errors of
// servers, systems are known that carry them out later, even twice.
func (a *Access) Certainty(s *load.Sample) Certainty {
	switch {
	case s.Outcome == load.Refused || s.Outcome == load.Unsent:
		return No
	case s.Outcome.Answered() && slices.Contains(a.NotDone, s.Status):
		return No
	case s.Outcome == load.OK && s.Status >= 200 && s.Status < 300:
		return Yes
	}
	return Maybe
}

// Told reports whether the read of a sample says what was there. That nothing is, a
// service says by 404 or 410 too.
func (a *Access) Told(s *load.Sample) bool {
	return s.Outcome == load.OK && s.Status < 300 || s.Outcome == load.ClientError && (s.Status == 404 || s.Status == 410)
}

// Operation is a write or a read as its caller saw it: it happened between Sent and
// Done. Neither is a time of the wall clock, or when it was due.
type Operation struct {
	Value
	Place      int // where in Run.Samples its request is
	Sent, Done time.Duration
	Access     *Access
	Certainty  Certainty // of a write
}

// Operations are those on some data, in the order in which they were due: writes
// that were sent, and reads that say what was there.
func (r *Run) Operations(data string) iter.Seq[Operation] {
	byRoute := make([]*Access, len(r.Routes))
	for i := range r.Access {
		if a := &r.Access[i]; a.Data == data {
			if route := slices.Index(r.Routes, a.Route); route >= 0 {
				byRoute[route] = a
			}
		}
	}
	return func(yield func(Operation) bool) {
		at := 0 // in r.Values, which are in the order of ids, and so almost in this one
		for i := range r.Samples {
			s := &r.Samples[i]
			a := byRoute[s.Route]
			if a == nil || s.Outcome == load.Unsent || !a.Writes && !a.Told(s) {
				continue
			}
			o := Operation{Value: Value{ID: s.ID}, Place: i, Sent: s.Sent, Done: s.Done, Access: a}
			if a.Writes {
				o.Certainty = a.Certainty(s)
			}
			if at >= len(r.Values) || r.Values[at].ID != s.ID {
				var found bool
				if at, found = slices.BinarySearchFunc(r.Values, s.ID,
					func(v Value, id uint64) int { return cmp.Compare(v.ID, id) }); !found {
					continue // it is lost, which the run knows
				}
			}
			o.Value = r.Values[at]
			at++
			if !yield(o) {
				return
			}
		}
	}
}

// Session is the session that a request belongs to: one caller, who sees what it does
// in turn. Without sessions it is the arrival, with the steps that follow it.
func (r *Run) Session(id uint64) uint64 {
	arrival := wire.ArrivalOf(id)
	if r.Sessions > 0 {
		return arrival % uint64(r.Sessions)
	}
	return arrival
}

// Earlier reports whether a value was written before the clock of the run began, by a
// request of the warm-up.
func (r *Run) Earlier(value uint64) bool {
	return len(r.Samples) > 0 && value != load.NoValue && value != load.ForeignValue &&
		wire.ArrivalOf(value) < wire.ArrivalOf(r.Samples[0].ID)
}

// valueRoom is how many bytes of lines an event loop may be ahead of the writer.
const valueRoom = 1 << 21

// ValueWriter writes values as SampleWriter does samples: each event loop into a ring
// of its own.
type ValueWriter struct {
	file *csvFile
	pens []*valuePen
}

type valuePen struct {
	ring    *ring
	key     uint64 // of the request whose sample comes next
	value   uint64
	id, was column
	_       [64]byte // keeps the next pen off the cache line this one writes to
}

// ValuesIn writes values into an empty file for so many event loops, which will not
// grow past max bytes; 0 means no bound.
func ValuesIn(f *os.File, loops int, max int64) (*ValueWriter, error) {
	s, err := newCSV(f, valueHeader, max)
	if err != nil {
		return nil, err
	}
	w := &ValueWriter{file: s}
	for range loops {
		w.pens = append(w.pens, &valuePen{ring: newRing(valueRoom, 3*20+48)})
	}
	return w, nil
}

// Keep takes what a request wrote or read, until Record is called for it or for
// another one by the same loop. Both are on the loop's hot path, as SampleWriter.Record.
func (w *ValueWriter) Keep(loop int, key, value uint64) {
	p := w.pens[loop]
	p.key, p.value = key, value
}

// Record writes what was kept of the request with an id.
func (w *ValueWriter) Record(loop int, id uint64) {
	p := w.pens[loop]
	b := p.ring.line()
	if b == nil {
		return
	}
	b = append(p.id.append(b, id), ',')
	b = append(strconv.AppendUint(b, p.key, 10), ',')
	if p.value == load.ForeignValue {
		b = append(b, "-1"...)
	} else {
		b = p.was.append(b, p.value)
	}
	p.ring.put(append(b, '\n'))
}

// Flush hands to the kernel what was recorded before. One goroutine may call it.
func (w *ValueWriter) Flush() {
	for _, p := range w.pens {
		first, second := p.ring.filled()
		if n := bytes.Count(first, newline) + bytes.Count(second, newline); n > 0 {
			_ = w.file.write(uint64(n), first, second) // counted in Lost, said by Close
			p.ring.free(len(first) + len(second))
		}
	}
}

// Extent is what was written so far. The goroutine that flushes may call it.
func (w *ValueWriter) Extent() Extent { return w.file.extent() }

// Lost is how many values could not be kept.
func (w *ValueWriter) Lost() uint64 {
	n := w.file.lost
	for _, p := range w.pens {
		n += p.ring.lost.Load()
	}
	return n
}

// Err is why a write to the file failed; nil if none did. That the file has reached
// its bound is no such error: Lost counts what was left out.
func (w *ValueWriter) Err() error { return w.file.failed() }

// Close writes what is left and closes the file. Nothing may be recorded any more.
func (w *ValueWriter) Close() error {
	w.Flush()
	return w.file.close()
}

// readValue reads a line of values.csv.
func readValue(v *Value, line []byte, _ int) error {
	in := fields{line: line}
	v.ID, v.Key = in.uint(), in.uint()
	if bytes.HasSuffix(line, []byte(",-1")) {
		v.Value = load.ForeignValue
		in.text()
	} else {
		v.Value = in.uint()
	}
	if !in.whole() {
		return fmt.Errorf("%q is not an id, a key and a value", line)
	}
	return nil
}

func valuesInOrder(a, b *Value) int { return cmp.Compare(a.ID, b.ID) }

// valuesExtent is how far the values were written at the end of a tick.
func valuesExtent(t *Tick) Extent {
	if t.Values == nil {
		return Extent{}
	}
	return *t.Values
}

// valueLedger is what the seconds counted of values: one for each request of a route
// with data that was sent.
func (r *Run) valueLedger() ledger {
	done := func(v *Value) time.Duration {
		if s, ok := r.Sample(v.ID); ok {
			return s.Done
		}
		return 0
	}
	l := ledger{file: ValuesFile, there: uint64(len(r.Values)), counted: func(t *Tick) (n uint64) {
		for i := range r.Access {
			for outcome, ended := range t.Routes[r.Access[i].Route] {
				if load.Outcome(outcome) != load.Unsent {
					n += ended
				}
			}
		}
		return n
	}, ends: func() []time.Duration { return mapped(r.Values, done) }}
	l.twice, l.first = repeated(r.Values, func(a, b *Value) bool { return a.ID == b.ID }, done)
	return l
}
