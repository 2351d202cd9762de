package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Linearizable claims that reads see the latest write: that all reads and writes of each
// register can be put into one order, in which each stands between its sending and its
// answer, and each read finds what was written last before it.
//
// The answer is exact, and no noise blurs it. It takes nothing for granted of the order in
// which things happened that were under way at the same time. A write that was not
// acknowledged may have taken effect at any time since it was sent, or never. A read
// without an answer says nothing.
type Linearizable struct {
	Data string `yaml:"data"` // The data whose order is claimed: what routes name in writes and reads.
}

// What it takes to have put an order to the test.
const (
	leastReads  = 100 // while a fault was in force
	leastWrites = 10  // acknowledged meanwhile
)

func (c Linearizable) String() string { return fmt.Sprintf("%s is linearizable", c.Data) }

// Judge implements Claim.
func (c Linearizable) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "linearizable")
	d := dataOf(run, c.Data)
	f.factual()
	if why := d.untold(run); why != "" {
		f.open("order", "%s", why)
		return f.verdict()
	}
	f.tested(d, run)
	registers, ops := registersOf(run, c.Data)
	c.judgeOrder(f, d, registers, ops)
	return f.verdict()
}

// judgeOrder rules on the number of registers that have no order.
func (c Linearizable) judgeOrder(f *finding, d dataSeen, registers []register, ops []operation) {
	var without, foreign int
	var ids []uint64
	worst := -1
	for i := range registers {
		r := &registers[i]
		if r.foreign > 0 {
			foreign++ // of which what was there before the run is not known
		}
		if !r.contradicts() {
			continue
		}
		without++
		if worst < 0 {
			worst = i
			ids = r.culprits()
		}
	}
	f.numbers.Add("writes", float64(d.acknowledged))
	f.numbers.Add("reads", float64(d.reads))
	f.numbers.Add("registers", float64(len(registers)))
	f.numbers.Add("registers_without_order", float64(without))
	m := measure{name: "order", seen: interval(without, without+foreign), allowed: atMost(0), sample: d.reads, ids: ids,
		says: fmt.Sprintf("%s of %s agree with one order of %s", were(d.reads, "read", "reads"),
			were(len(registers), "register", "registers"), were(d.acknowledged, "acknowledged write", "acknowledged writes"))}
	if d.maybes > 0 {
		m.says += fmt.Sprintf(" (of %d more it is not known whether they were done)", d.maybes)
	}
	if worst >= 0 {
		m.refutes = fmt.Sprintf("%s of %d have no order: %s", were(without, "register", "registers"), len(registers),
			registers[worst].why(c.Data))
		f.show(func() Exhibit { return timelineOf(f.run, c.Data, &registers[worst], ops) })
	}
	if foreign > 0 {
		m.hidden = fmt.Sprintf("values that no request of this run wrote, in %s", were(foreign, "register", "registers"))
		m.settle = "begin with an empty store, or other names of keys"
	}
	f.rule(m)
}

// culprits are the requests that show why a register has no order.
func (r *register) culprits() []uint64 {
	if r.phantom.how != noPhantom {
		return []uint64{r.phantom.read, r.phantom.write}
	}
	p := r.proof()
	return p[:]
}

// why says in words why a register has no order.
func (r *register) why(data string) string {
	name := fmt.Sprintf("%s %d", data, r.key)
	switch r.phantom.how {
	case unwritten:
		return fmt.Sprintf("request %d read of %s what request %d wrote, which is none of its writes", r.phantom.read, name,
			r.phantom.write)
	case premature:
		return fmt.Sprintf("request %d read of %s what request %d wrote, which was sent after the read had ended", r.phantom.read, name,
			r.phantom.write)
	case impossible:
		return fmt.Sprintf("request %d read of %s what request %d wrote, which was refused", r.phantom.read, name, r.phantom.write)
	}
	a, b, p := r.zones[r.clash[0]], r.zones[r.clash[1]], r.proof()
	return fmt.Sprintf("of %s, request %d found %s at %s, when %s had surely replaced it by %s (shown by request %d)",
		name, p[3], valueText(a.value), short(a.until(0)), valueText(b.value), short(max(0, b.f)), p[2])
}

// valueText names a value.
func valueText(value uint64) string {
	if value == load.NoValue {
		return "nothing"
	}
	return fmt.Sprintf("what request %d wrote", value)
}

// dataSeen is how much was seen of some data.
type dataSeen struct {
	name                 string
	writes, reads        int // requests that write, and reads that say what was there
	acknowledged, maybes int
	refused              int
	found                int // reads that found a value of this run
	foreign              int // that found another
	known                bool
}

func dataOf(run *evidence.Run, data string) dataSeen {
	d := dataSeen{name: data}
	for _, a := range run.Access {
		d.known = d.known || a.Data == data
	}
	for o := range run.Operations(data) {
		if !o.Access.Writes {
			d.reads++
			switch o.Value.Value {
			case load.NoValue:
			case load.ForeignValue:
				d.foreign++
			default:
				d.found++
			}
			continue
		}
		d.writes++
		switch o.Certainty {
		case evidence.Yes:
			d.acknowledged++
		case evidence.Maybe:
			d.maybes++
		default:
			d.refused++
		}
	}
	return d
}

// untold says why nothing can be said of the data; "" if something can.
func (d dataSeen) untold(run *evidence.Run) string {
	switch {
	case !d.known:
		return fmt.Sprintf("no route writes or reads %s: give routes writes: %s and reads: {%s: json:$.v}", d.name, d.name, d.name)
	case run.Brief:
		return fmt.Sprintf("what %s is, is ruled on when the run is over", d.name)
	case d.acknowledged == 0:
		return fmt.Sprintf("none of %s of %s was acknowledged, so that there was nothing to read", were(d.writes, "write", "writes"),
			d.name)
	case d.reads == 0:
		return fmt.Sprintf("no read of %s was answered", d.name)
	case d.found == 0:
		return fmt.Sprintf("none of %s of %s found a value of this run: is it where reads: says that it is?",
			were(d.reads, "read", "reads"), d.name)
	}
	return ""
}

// factual says that the claim rests on all of the run, and on nothing that a harness that
// was not well could have spoilt: what it was late for began later, and what it stood
// still over took longer, which only ever leaves room for more orders. Records must be
// whole, and nothing has held in a run that was cut short.
func (f *finding) factual() {
	f.rested = append(f.rested, stretch{0, f.run.End})
	f.distrust(incomplete(f.run))
	f.outlived(horizon(f.run))
	if f.run.Partial && !f.run.Brief {
		f.open("complete", "the run was cut short: what would have come is not known"+toTheEnd)
	}
}

// tested asks for faults in force while the data was written and read: without, an order
// is easily kept. A read of a register that nobody had written to finds nothing, whoever
// answers it, and shows nothing.
func (f *finding) tested(d dataSeen, run *evidence.Run) {
	reads, writes := 0, 0
	spans := episodes(run, -1, func(evidence.Injection) bool { return true })
	if len(spans) == 0 {
		f.open("tested", "%s: cut the nodes of %s from one another while it is written and read",
			noEpisode(run, "", func(evidence.Injection) bool { return true }), d.name)
		return
	}
	written := map[uint64]time.Duration{} // when a write of the register was acknowledged first
	for o := range run.Operations(d.name) {
		if o.Access.Writes && o.Certainty == evidence.Yes {
			if at, ok := written[o.Key]; !ok || o.Done < at {
				written[o.Key] = o.Done
			}
		}
	}
	for o := range run.Operations(d.name) {
		for _, s := range spans {
			if o.Sent < s.from || o.Done > s.to {
				continue
			}
			at, ok := written[o.Key]
			switch {
			case !o.Access.Writes && (!ok || o.Sent <= at):
			case !o.Access.Writes:
				reads++
			case o.Certainty == evidence.Yes:
				writes++
			}
		}
	}
	f.numbers.Add("reads_under_fault", float64(reads))
	f.numbers.Add("writes_under_fault", float64(writes))
	if reads < leastReads || writes < leastWrites {
		f.open("tested", "only %s of what had been written, and %s, were answered while a fault was in force, and at least %d and %d "+
			"are needed: let it last longer, offer more, or have fewer keys",
			were(reads, "read", "reads"), were(writes, "write", "writes"), leastReads, leastWrites)
	}
}

// shown is by how many neighbours more operations are drawn.
const shownAround = 20

// timelineOf draws the operations of a register around its contradiction.
func timelineOf(run *evidence.Run, data string, r *register, ops []operation) Exhibit {
	marked := map[uint64]bool{}
	for _, id := range r.culprits() {
		marked[id] = id != 0
	}
	from, to := never, ever
	var own []operation
	for _, o := range ops {
		if o.key == r.key {
			own = append(own, o)
			if marked[o.id] {
				from, to = min(from, o.start), max(to, o.start)
			}
		}
	}
	around := Register{Data: data, Key: r.key, Operations: []Operation{}}
	for _, o := range sortedByStart(own) {
		near := o.start >= from && o.start <= to
		switch {
		case !marked[o.id] && !near:
			continue
		case !marked[o.id] && around.neighbours() >= shownAround:
			around.More++
			continue
		}
		around.Operations = append(around.Operations, shownOperation(run, o, marked[o.id]))
	}
	return Exhibit{Kind: KindRegister, Part: "order", Register: &around, Title: r.why(data)}
}

func shownOperation(run *evidence.Run, o operation, marked bool) Operation {
	x := Operation{ID: o.id, Writes: o.writes(), Value: o.value, Sent: evidence.Seconds(o.start), Marked: marked}
	end := o.end
	if s, ok := run.Sample(o.id); ok {
		x.Route, x.Outcome, end = routeName(run, s.Route), s.Outcome.String(), s.Done
	}
	x.Done = evidence.Seconds(end)
	x.Maybe = x.Writes && o.end == never
	return x
}
