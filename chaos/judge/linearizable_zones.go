package judge

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Whether the reads and writes of a register can be put into one order takes no search
// where every write has a value of its own: then each read names its write, and it is
// enough to look at each value once (Gibbons and Korach, SIAM J. Comput. 1997; Golab, Li
// and Shah, PODC 2011). Of a value, f is the earliest end of its write and of its reads:
// by then it was there. s is the latest start among them: then it was still there.
//
//	forward zone, f < s          backward zone, s ≤ f
//	    write ──┤                    write ├──────┤
//	         f  ·····  s                      s·f
//	                   ├── read           ├──────┤ read
//
// What ended before something began came before it. So value a came before value b if
// f of a is before s of b, and the two contradict each other if b also came before a:
// if two forward zones overlap, or a backward zone lies within a forward one. If no two
// do, and no read is of a value that was not being written yet, there is an order.
// All bounds are strict: what ended at the nanosecond at which something else began was
// side by side with it.

// operation is a write or a read of one register.
type operation struct {
	key, value uint64
	id         uint64 // of the request; that of a write is its value
	start, end time.Duration
}

func (o *operation) writes() bool { return o.id == o.value }

// The ends of time: what was there before the run, and what may happen for ever.
const (
	ever  = time.Duration(math.MinInt64)
	never = time.Duration(math.MaxInt64)
)

// zone is what is known of one value of one register.
type zone struct {
	value        uint64
	begun        time.Duration // when its write was sent; ever if it was there before the run
	acknowledged time.Duration // when its write was; never if it was not
	f            time.Duration
	seen         time.Duration // the latest start of a read; ever if nobody read it
	told         time.Duration // the latest end of a read; ever if nobody read it
	fBy, seenBy  uint64        // requests
	reads        int
}

// until is s of the zone (see above) if all its reads had begun earlier by so much.
func (z *zone) until(earlier time.Duration) time.Duration {
	if z.seen == ever {
		return z.begun
	}
	return max(z.begun, z.seen-earlier)
}

// lastBy is the request whose start is s of the zone.
func (z *zone) lastBy() uint64 {
	if z.seen > z.begun {
		return z.seenBy
	}
	return z.value
}

// register is one key and its values, by f.
type register struct {
	key     uint64
	zones   []zone
	foreign int     // reads that found what is no value of this run
	phantom phantom // a read of what was not written; the zero value is none
	clash   [2]int  // zones that contradict each other; the same twice is none
}

// phantom is a read of a value that had not been written: at all, before the read had
// ended, or by a request of which it is known that it did nothing.
type phantom struct {
	read  uint64
	write uint64 // the value
	how   phantomKind
}

type phantomKind uint8

const (
	noPhantom  phantomKind = iota
	unwritten              // nobody wrote it to this register
	premature              // its write was sent after the read had ended
	impossible             // its write was refused, and yet it is there
)

// contradicts reports whether the register has no order.
func (r *register) contradicts() bool { return r.phantom.how != noPhantom || r.clash[0] != r.clash[1] }

// registersOf sorts the operations on some data by register and value, and finds the
// zones of each.
func registersOf(run *evidence.Run, data string) (all []register, ops []operation) {
	n := 0
	for range run.Operations(data) {
		n++
	}
	ops = make([]operation, 0, n)
	refused := map[uint64]bool{}
	for o := range run.Operations(data) {
		op := operation{key: o.Key, value: o.Value.Value, id: o.ID, start: o.Sent, end: o.Done}
		if o.Access.Writes {
			op.value = o.ID
			switch o.Certainty {
			case evidence.No:
				refused[o.ID] = true
				continue
			case evidence.Maybe:
				op.end = never
			}
		}
		ops = append(ops, op)
	}
	slices.SortFunc(ops, func(a, b operation) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.value, b.value)
	})
	for i := 0; i < len(ops); {
		j := i
		for j < len(ops) && ops[j].key == ops[i].key {
			j++
		}
		all = append(all, registerOf(run, ops[i:j], refused))
		i = j
	}
	return all, ops
}

// registerOf finds the zones of one register, whose operations are in the order of
// their values, and whether they contradict each other.
func registerOf(run *evidence.Run, ops []operation, refused map[uint64]bool) register {
	r := register{key: ops[0].key}
	for i := 0; i < len(ops); {
		j := i
		for j < len(ops) && ops[j].value == ops[i].value {
			j++
		}
		r.add(run, ops[i:j], refused)
		i = j
	}
	slices.SortFunc(r.zones, func(a, b zone) int { return cmp.Or(cmp.Compare(a.f, b.f), cmp.Compare(a.value, b.value)) })
	r.clash[0], r.clash[1] = clash(r.zones, func(z *zone) time.Duration { return z.until(0) })
	return r
}

// add adds the operations of one value.
func (r *register) add(run *evidence.Run, ops []operation, refused map[uint64]bool) {
	value := ops[0].value
	if value == load.ForeignValue {
		r.foreign += len(ops)
		return
	}
	z := zone{value: value, begun: ever, acknowledged: never, f: never, seen: ever, told: ever}
	// What was in flight as a run was killed has no record.
	written := value == load.NoValue || run.Earlier(value) || run.Partial && !refused[value]
	for i := range ops {
		if o := &ops[i]; o.writes() {
			z.begun, z.acknowledged, z.f, z.fBy, written = o.start, o.end, o.end, o.id, true
		}
	}
	if value == load.NoValue {
		z.f, z.acknowledged = ever, ever
	}
	for i := range ops {
		o := &ops[i]
		switch {
		case o.writes():
			continue
		case !written && r.phantom.how == noPhantom:
			r.phantom = phantom{o.id, value, unwritten}
			if refused[value] {
				r.phantom.how = impossible
			}
		case o.end < z.begun && r.phantom.how == noPhantom:
			r.phantom = phantom{o.id, value, premature}
		}
		z.reads++
		if o.end < z.f {
			z.f, z.fBy = o.end, o.id
		}
		if o.start > z.seen {
			z.seen, z.seenBy = o.start, o.id
		}
		z.told = max(z.told, o.end)
	}
	if !written || z.f == never {
		return // it may never have been there, or is a phantom
	}
	r.zones = append(r.zones, z)
}

// clash finds two zones, of some that are in the order of f, that contradict each
// other; both are the same if none do. s is until when a value was there.
func clash(zones []zone, s func(*zone) time.Duration) (a, b int) {
	var forward []int // do not overlap
	for i := range zones {
		if s(&zones[i]) <= zones[i].f {
			continue
		}
		if n := len(forward); n > 0 && zones[i].f < s(&zones[forward[n-1]]) {
			return forward[n-1], i
		}
		forward = append(forward, i)
	}
	for i := range zones {
		last := s(&zones[i])
		if last > zones[i].f {
			continue
		}
		at := sort.Search(len(forward), func(k int) bool { return zones[forward[k]].f >= last })
		if at > 0 && zones[i].f < s(&zones[forward[at-1]]) {
			return forward[at-1], i
		}
	}
	return 0, 0
}

// proof are the four operations that show why two zones have no order: the first ended
// before the second began, the third before the fourth; the first and the fourth are of
// one value, the second and the third of another.
func (r *register) proof() [4]uint64 {
	a, b := &r.zones[r.clash[0]], &r.zones[r.clash[1]]
	return [4]uint64{a.fBy, b.lastBy(), b.fBy, a.lastBy()}
}

// staleness is by how much the reads of a register were stale: the least time by which
// they would all have to have begun earlier for an order to be there (Δ-atomicity). At
// least: an operation took effect somewhere between its start and its end, wherever it
// suits. At most: reads at their ends, and each write as long before it was acknowledged
// as any took.
func (r *register) staleness() (least, most time.Duration) {
	end := time.Duration(0)
	for i := range r.zones {
		end = max(end, r.zones[i].told)
	}
	shift := func(s func(z *zone, earlier time.Duration) time.Duration) time.Duration {
		low, high := time.Duration(0), end+time.Microsecond
		clashes := func(earlier time.Duration) bool {
			a, b := clash(r.zones, func(z *zone) time.Duration { return s(z, earlier) })
			return a != b
		}
		if !clashes(0) {
			return 0
		}
		for high-low > time.Microsecond {
			if middle := low + (high-low)/2; clashes(middle) {
				low = middle
			} else {
				high = middle
			}
		}
		return high
	}
	if r.clash[0] != r.clash[1] {
		if least = shift((*zone).until); least > 0 {
			least -= time.Microsecond // what is never overstated
		}
	}
	most = shift(func(z *zone, earlier time.Duration) time.Duration {
		if z.told == ever {
			return z.begun
		}
		return max(z.begun, z.told-earlier)
	})
	slowest := time.Duration(0)
	for i := range r.zones {
		if z := &r.zones[i]; z.begun != ever && z.f != never {
			slowest = max(slowest, z.f-z.begun)
		}
	}
	if most > 0 {
		most += slowest
	}
	return max(0, least), max(most, least)
}

// ages finds how old what a read finds surely is: how long before the start of the read
// there was surely another value, which was surely written later.
type ages struct {
	begun []time.Duration // of the writes, in order
	by    []time.Duration // by when one of those from here on was surely there
	f     map[uint64]time.Duration
}

func (r *register) ages() ages {
	zones := slices.Clone(r.zones)
	slices.SortFunc(zones, func(a, b zone) int { return cmp.Compare(a.begun, b.begun) })
	a := ages{f: make(map[uint64]time.Duration, len(zones))}
	for i := range zones {
		a.begun, a.by = append(a.begun, zones[i].begun), append(a.by, zones[i].f)
		a.f[zones[i].value] = zones[i].f
	}
	for i := len(a.by) - 2; i >= 0; i-- {
		a.by[i] = min(a.by[i], a.by[i+1])
	}
	return a
}

// overwritten is by when a value was surely no longer the latest; never if that is not
// sure of any time.
func (a *ages) overwritten(value uint64) time.Duration {
	f, ok := a.f[value]
	if !ok {
		return never
	}
	at := sort.Search(len(a.begun), func(i int) bool { return a.begun[i] > f })
	if at == len(a.by) {
		return never
	}
	return a.by[at]
}
