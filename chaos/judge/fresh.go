package judge

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Fresh claims that stale reads are bounded: a replica lags by at most so much, a cache
// is out of date for at most so long.
//
// A read is stale by as much as it began later than the value that it found had surely
// been replaced. All reads together are stale by the least time by which they would all
// have to have begun earlier for there to be one order of reads and writes: nothing is
// taken for granted of what was under way at the same time.
type Fresh struct {
	Data   string        `yaml:"data"`   // The data that is read: what routes name in writes and reads.
	Within time.Duration `yaml:"within"` // Reads are stale by at most so long; absent is not judged.
	// At least this share of the reads is no staler than that; absent means 100%.
	Share unit.Share `yaml:"share"`
	// What a session never sees go back: own_writes, monotonic. A session is what sessions: of the load says. Absent is not judged.
	Sessions []string `yaml:"sessions"`
}

// FreshSessions are the values of Fresh.Sessions.
var FreshSessions = []string{"own_writes", "monotonic"}

func (c Fresh) String() string {
	var parts []string
	if c.Within > 0 {
		text := "stale by at most " + short(c.Within)
		if c.share() < 1 {
			text += fmt.Sprintf(" in %s of reads", unit.Share(c.share()))
		}
		parts = append(parts, text)
	}
	if slices.Contains(c.Sessions, "own_writes") {
		parts = append(parts, "own writes are read")
	}
	if slices.Contains(c.Sessions, "monotonic") {
		parts = append(parts, "reads never go back")
	}
	return fmt.Sprintf("%s is fresh: %s", c.Data, strings.Join(parts, ", "))
}

func (c Fresh) share() float64 {
	if c.Share == 0 {
		return 1
	}
	return float64(c.Share)
}

// first is the first key that is claimed.
func (c Fresh) first() string {
	if c.Within > 0 {
		return "within"
	}
	return c.Sessions[0]
}

// Judge implements Claim.
func (c Fresh) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "fresh")
	d := dataOf(run, c.Data)
	f.factual()
	f.leans |= onAge
	if why := d.untold(run); why != "" {
		f.open(c.first(), "%s", why)
		return f.verdict()
	}
	registers, ops := registersOf(run, c.Data)
	known := map[uint64]*register{}
	foreign := 0
	for i := range registers {
		known[registers[i].key] = &registers[i]
		foreign += registers[i].foreign
	}
	reads := agesOf(known, ops)
	f.numbers.Add("reads", float64(d.reads))
	f.numbers.Add("reads_after_overwrite", float64(reads.tested))
	if foreign > 0 {
		f.open(c.first(), "%s found what no request of this run wrote, and whose age is not known: begin with an empty store, or other "+
			"names of keys", were(foreign, "read", "reads"))
	}
	switch {
	case c.Within == 0:
	case c.share() < 1:
		c.judgeShare(f, reads)
	default:
		c.judgeWithin(f, registers, reads)
	}
	for _, kind := range c.Sessions {
		c.judgeSessions(f, kind, known, ops)
	}
	f.show(func() Exhibit { return reads.stalest(f.run, c.Data, known, ops) })
	return f.verdict()
}

// aged is a read and by when what it found was surely no longer the latest.
type aged struct {
	id, key     uint64
	start, end  time.Duration
	overwritten time.Duration // never if that is not sure of any time
	perhaps     time.Duration // by when it may have been replaced at the earliest; never if nothing came after it
	written     bool          // a write of its register had been acknowledged before
}

// age is how stale the read surely was; possible is how stale at most.
func (a *aged) age() time.Duration {
	if a.overwritten == never {
		return 0
	}
	return max(0, a.start-max(a.overwritten, 0))
}

func (a *aged) possible() time.Duration {
	if a.perhaps == never {
		return 0
	}
	return max(0, a.end-max(a.perhaps, 0))
}

// agedReads are the reads of some data.
type agedReads struct {
	all    []aged
	tested int // reads that began within a second of when a write of their register was acknowledged
}

// testedFor is how long after a write was acknowledged a read can tell whether it is
// seen.
const testedFor = time.Second

const untested = "only %s began within %s of a write of the same key, and at least %d are needed: fewer keys, or more load"

func agesOf(known map[uint64]*register, ops []operation) (r agedReads) {
	for i := 0; i < len(ops); {
		j := i
		for j < len(ops) && ops[j].key == ops[i].key {
			j++
		}
		reg := known[ops[i].key]
		a, next := reg.ages(), reg.successors()
		acknowledged := reg.acknowledgements()
		for _, o := range ops[i:j] {
			if o.writes() || o.value == load.ForeignValue {
				continue
			}
			at := sort.Search(len(acknowledged), func(k int) bool { return acknowledged[k] >= o.start })
			r.all = append(r.all, aged{o.id, o.key, o.start, o.end, a.overwritten(o.value), next[o.value], at > 0})
			if at > 0 && o.start-acknowledged[at-1] <= testedFor {
				r.tested++
			}
		}
		i = j
	}
	return r
}

// successors are, by value, from when on another value may have been written later, in
// the order of f.
func (r *register) successors() map[uint64]time.Duration {
	next := make(map[uint64]time.Duration, len(r.zones))
	first := never
	for i := len(r.zones) - 1; i >= 0; i-- {
		next[r.zones[i].value] = first
		first = min(first, r.zones[i].begun)
	}
	return next
}

// acknowledgements are when writes of the register were, in order.
func (r *register) acknowledgements() (at []time.Duration) {
	for i := range r.zones {
		if t := r.zones[i].acknowledged; t != never && t != ever {
			at = append(at, t)
		}
	}
	slices.Sort(at)
	return at
}

// judgeWithin rules on how stale reads were at most.
func (c Fresh) judgeWithin(f *finding, registers []register, reads agedReads) {
	var seen Interval
	for i := range registers {
		least, most := registers[i].staleness()
		seen.Low, seen.High = max(seen.Low, float64(least)), max(seen.High, float64(most))
	}
	stale, ids := 0, []uint64{}
	slices.SortStableFunc(reads.all, func(a, b aged) int { return cmp.Compare(b.age(), a.age()) })
	for i := range reads.all {
		if a := &reads.all[i]; a.age() > c.Within {
			ids = append(ids, a.id)
		}
		if reads.all[i].age() > 0 {
			stale++
		}
	}
	f.numbers.Add("stale_reads", float64(stale))
	f.numbers.Add("staleness_least_ms", seen.Low/float64(time.Millisecond))
	f.numbers.Add("staleness_most_ms", seen.High/float64(time.Millisecond))
	if reads.tested < leastReads && seen.Low <= float64(c.Within) {
		f.open("within", untested, were(reads.tested, "read", "reads"), short(testedFor), leastReads)
		return
	}
	says := fmt.Sprintf("none of %s was surely stale", were(len(reads.all), "read", "reads"))
	if stale > 0 {
		says = fmt.Sprintf("%d of %s were stale, by up to %s", stale, were(len(reads.all), "read", "reads"), short(time.Duration(seen.Low)))
	}
	f.rule(measure{name: "within", unit: timed, seen: seen, allowed: atMost(c.Within), sample: len(reads.all),
		ids:  ids[:min(len(ids), MaxIDs)],
		says: says, hidden: "how long reads and writes were under way", settle: "faster answers, or a bound further from the figure"})
}

// judgeShare rules on how many reads were no staler than claimed.
func (c Fresh) judgeShare(f *finding, reads agedReads) {
	surely, perhaps := 0, 0
	var ids []uint64
	for i := range reads.all {
		a := &reads.all[i]
		if a.age() > c.Within {
			surely++
			ids = append(ids, a.id)
		}
		if max(a.possible(), a.age()) > c.Within {
			perhaps++
		}
	}
	n := len(reads.all)
	f.numbers.Add("stale_reads", float64(surely))
	low, _ := scoreInterval(n-perhaps, n, sureToHold)
	_, high := scoreInterval(n-surely, n, sureToRefute)
	m := measure{name: "share", unit: shared, seen: Interval{low, high}, allowed: atLeast(c.share()), sample: n,
		ids:  ids[:min(len(ids), MaxIDs)],
		says: fmt.Sprintf("%d of %s were stale by more than %s", surely, were(n, "read", "reads"), short(c.Within))}
	if reads.tested < leastReads && m.part().Ruling == Held {
		f.open("share", untested, were(reads.tested, "read", "reads"), short(testedFor), leastReads)
		return
	}
	f.rule(m)
}

// judgeSessions rules on what sessions saw go back.
func (c Fresh) judgeSessions(f *finding, kind string, known map[uint64]*register, ops []operation) {
	type mine struct{ key, session uint64 }
	by := map[mine][]*operation{}
	for i := range ops {
		m := mine{ops[i].key, f.run.Session(ops[i].id)}
		by[m] = append(by[m], &ops[i])
	}
	of := map[uint64]map[uint64]*zone{}
	for key, r := range known {
		of[key] = map[uint64]*zone{}
		for i := range r.zones {
			of[key][r.zones[i].value] = &r.zones[i]
		}
	}
	told, back := 0, []uint64{}
	for m, list := range by {
		n, ids := wentBack(list, of[m.key], kind == "own_writes")
		told, back = told+n, append(back, ids...)
	}
	f.numbers.Add(kind+"_reads", float64(told))
	f.numbers.Add(kind+"_violations", float64(len(back)))
	if told < leastReads && len(back) == 0 {
		f.open(kind, "only %s followed what the same session had written or read there, and at least %d are needed: "+
			"a step that reads (then), fewer keys, or fewer sessions", were(told, "read", "reads"), leastReads)
		return
	}
	slices.Sort(back)
	what := map[string]string{"own_writes": "found what was surely older than what its session had written",
		"monotonic": "found what was surely older than what its session had read before"}[kind]
	f.rule(measure{name: kind, seen: exactly(len(back)), allowed: atMost(0), sample: told, ids: back,
		says: fmt.Sprintf("%d of %s %s", len(back), were(told, "read", "reads"), what)})
}

// wentBack are, of the operations of one session on one register, how many reads follow
// a write of its own, or a read, and those of them that found what was surely older: a
// value that was surely there before that of the earlier operation was sent.
func wentBack(list []*operation, zones map[uint64]*zone, ownWrites bool) (told int, back []uint64) {
	slices.SortFunc(list, func(a, b *operation) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.id, b.id)) })
	ended := slices.DeleteFunc(slices.Clone(list), func(o *operation) bool { return o.writes() != ownWrites || o.end == never })
	slices.SortFunc(ended, func(a, b *operation) int { return cmp.Compare(a.end, b.end) })
	latest, any := ever, false // the latest sending of a value that the session knows
	at := 0
	for _, o := range list {
		for ; at < len(ended) && ended[at].end < o.start; at++ {
			if z := zones[ended[at].value]; z != nil {
				latest, any = max(latest, z.begun), true
			}
		}
		if z := zones[o.value]; !o.writes() && any && z != nil {
			told++
			if z.f < latest {
				back = append(back, o.id)
			}
		}
	}
	return told, back
}

// stalest draws the operations around the read that was stale for longest.
func (r agedReads) stalest(run *evidence.Run, data string, known map[uint64]*register, ops []operation) Exhibit {
	var worst *aged
	for i := range r.all {
		if a := &r.all[i]; a.age() > 0 && (worst == nil || a.age() > worst.age()) {
			worst = a
		}
	}
	if worst == nil {
		return Exhibit{}
	}
	reg := known[worst.key]
	shown := Register{Data: data, Key: worst.key, Operations: []Operation{}}
	var own []operation
	replaced := replacedBy(reg, worst)
	for _, o := range ops {
		if o.key == worst.key && o.start >= worst.overwritten-time.Second && o.start <= worst.start {
			own = append(own, o)
		}
	}
	for _, o := range sortedByStart(own) {
		marked := o.id == worst.id || slices.Contains(replaced, o.id)
		if !marked && shown.neighbours() >= shownAround {
			shown.More++
			continue
		}
		shown.Operations = append(shown.Operations, shownOperation(run, o, marked))
	}
	return Exhibit{Kind: KindRegister, Part: "within", Register: &shown,
		Title: fmt.Sprintf("request %d found a value that had surely been replaced %s before", worst.id, short(worst.age()))}
}

// replacedBy are the requests that show that what a read found had been replaced.
func replacedBy(r *register, a *aged) (ids []uint64) {
	for i := range r.zones {
		if z := &r.zones[i]; z.f == a.overwritten {
			ids = append(ids, z.value, z.fBy)
		}
	}
	return ids
}
