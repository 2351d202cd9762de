package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Available claims that routes go on being served while a fault is in force, and that
// what was apart meanwhile agrees again soon after. It is the choice between consistency
// and availability, as it is declared: who keeps an order (linearizable) claims it of the
// routes of the majority, who stays available of those of every side.
type Available struct {
	Routes []string `yaml:"routes"` // The routes that go on.
	During string   `yaml:"during"` // The kind of the faults, or the name of one; absent means all.
	// At least this share of each route's requests that are due meanwhile succeeds; absent means 99%.
	Success unit.Share `yaml:"success"`
	// The data whose reads agree again, and of which it is told what was answered. Absent means that of all routes.
	Data string `yaml:"data"`
	// At most so long after the last of those faults is healed a read of data may still be stale; absent is not judged.
	ConvergesWithin time.Duration `yaml:"converges_within"`
}

func (c Available) success() float64 {
	if c.Success == 0 {
		return 0.99
	}
	return float64(c.Success)
}

func (c Available) String() string {
	text := fmt.Sprintf("%s succeed during %s", strings.Join(c.Routes, ", "), cmp.Or(c.During, "faults"))
	return fmt.Sprintf("%s: at least %s", text, unit.Share(c.success()))
}

// picks reports whether the claim is about a fault.
func (c Available) picks(x evidence.Injection) bool {
	return c.During == "" || x.Kind == c.During || x.Name == c.During || strings.HasPrefix(x.Name, c.During+" ")
}

// Judge implements Claim.
func (c Available) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "available")
	spans := episodes(run, 0, c.picks)
	if len(spans) == 0 {
		f.open("success", "%s", noEpisode(run, "", c.picks))
		return f.verdict()
	}
	for _, s := range spans {
		f.rests(s.from, s.to, onDue|onLoad)
	}
	for _, route := range c.Routes {
		c.judgeRoute(f, route, spans)
	}
	c.choice(f, spans)
	if c.ConvergesWithin > 0 {
		c.judgeConverges(f, spans[len(spans)-1])
	}
	return f.verdict()
}

func (c Available) judgeRoute(f *finding, route string, spans []span) {
	all, ok := samplesOf(f.run, route)
	if !ok {
		f.open("success", noRoute, route)
		return
	}
	var during []load.Sample
	for _, s := range spans {
		for _, x := range due(all, s.from, s.to).all() {
			during = append(during, *x)
		}
	}
	samples := every(during)
	if samples.len() < leastLost {
		f.open("success", "only %s of %s were due meanwhile, and at least %d are needed%s", were(samples.len(), "request", "requests"),
			route, leastLost, moreFail)
		return
	}
	served := countOK(samples)
	f.numbers.Add(route+"_success_pct", 100*float64(served)/float64(samples.len()))
	seen := goodputOf(f.run, samples)
	if c.success() >= 1 && served == samples.len() {
		seen = exactly(1) // no sample: not one may fail, and none did
	}
	f.rule(measure{name: "success", unit: shared, seen: seen, allowed: atLeast(c.success()), sample: samples.len(), ids: failures(samples),
		says:    fmt.Sprintf("%d of %d requests of %s succeeded", served, samples.len(), route),
		refutes: fmt.Sprintf("only %d of %d requests of %s succeeded", served, samples.len(), route)})
}

// choice says in words what each route did meanwhile: answered, refused, or left its
// callers in doubt.
func (c Available) choice(f *finding, spans []span) {
	for _, a := range f.run.Access {
		all, ok := samplesOf(f.run, a.Route)
		if !ok || c.Data != "" && a.Data != c.Data {
			continue
		}
		n, yes, no := 0, 0, 0
		for _, s := range spans {
			for _, x := range due(all, s.from, s.to).all() {
				n++
				switch {
				case a.Writes && a.Certainty(x) == evidence.Yes || !a.Writes && a.Told(x):
					yes++
				case a.Writes && a.Certainty(x) == evidence.No || !a.Writes && x.Outcome.Answered():
					no++
				}
			}
		}
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("meanwhile %s answered %d of %s of %s by %s", a.To, yes, were(n, "read", "reads"), a.Data, a.Route)
		left := fmt.Sprintf(", refused %d and was silent to %d", no, n-yes-no)
		if a.Writes {
			text = fmt.Sprintf("meanwhile %s acknowledged %d of %s of %s by %s", a.To, yes, were(n, "write", "writes"), a.Data, a.Route)
			left = fmt.Sprintf(", surely did not do %d, and may have done %d", no, n-yes-no)
		}
		if yes == n {
			left = ""
		}
		f.remark("choice", "%s%s", text, left)
	}
}

// judgeConverges rules on how long after the healing a read still found what was stale.
func (c Available) judgeConverges(f *finding, last span) {
	d := dataOf(f.run, c.Data)
	if why := d.untold(f.run); why != "" || !last.healed {
		f.open("converges_within", "%s", cmp.Or(why, "the fault was not healed before the evidence ended"+toTheEnd))
		return
	}
	registers, ops := registersOf(f.run, c.Data)
	known := map[uint64]*register{}
	for i := range registers {
		known[registers[i].key] = &registers[i]
	}
	reads := agesOf(known, ops).all
	slices.SortFunc(reads, func(a, b aged) int { return cmp.Compare(a.start, b.start) })
	seen := Interval{}
	after := 0
	var id uint64
	for i := range reads {
		a := &reads[i]
		if a.start < last.to {
			continue
		}
		if a.written && a.start >= last.to+c.ConvergesWithin {
			after++ // of another register nothing can be stale
		}
		if a.age() > 0 {
			seen.Low, id = float64(a.start-last.to), a.id
			seen.High = float64(f.run.End - last.to)
			if i+1 < len(reads) {
				seen.High = float64(max(reads[i+1].start-last.to, a.end-last.to))
			}
		}
	}
	if after < leastReads {
		f.open("converges_within", "only %s of what had been written of %s came later than %s after the healing, and at least %d "+
			"are needed: let the load go on for longer, or have fewer keys",
			were(after, "read", "reads"), c.Data, short(c.ConvergesWithin), leastReads)
		return
	}
	says := fmt.Sprintf("no read of %s after the healing was surely stale", c.Data)
	if id != 0 {
		says = fmt.Sprintf("the last read of %s that was surely stale began %s after the healing", c.Data, short(time.Duration(seen.Low)))
	}
	f.rule(measure{name: "converges_within", unit: timed, seen: seen.widened(0, float64(f.run.Noise(last.to, last.to))),
		allowed: atMost(c.ConvergesWithin), sample: after, ids: []uint64{id}, says: says})
}
