package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Durable claims that what was acknowledged is there in the end, whatever crashed
// meanwhile, and that nothing is there which was not written.
//
// What is there is what an audit finds, once all faults are healed and things have
// settled. A write that was not acknowledged may be there or not. Lost is what was
// acknowledged and is not: that is exact. At risk was what was acknowledged within the
// last second before a crash; of what had been there for longer little is shown.
type Durable struct {
	Writes string `yaml:"writes"` // The data that is written: what routes name in writes.
	In     string `yaml:"in"`     // The audit that finds what is there.
}

const (
	riskFor   = time.Second // before a crash
	leastRisk = 100         // writes acknowledged then
)

func (c Durable) String() string {
	return fmt.Sprintf("acknowledged writes of %s are in %s", c.Writes, c.In)
}

// Judge implements Claim.
func (c Durable) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "durable")
	f.factual()
	audit := run.Audit(c.In)
	if why := c.unaudited(run, audit); why != "" {
		f.open("lost", "%s", why)
		return f.verdict()
	}
	w := c.writtenBy(run)
	found, foreign, earlier, unknown := map[uint64]bool{}, 0, 0, []uint64{}
	for _, id := range audit.IDs {
		switch _, ours := w.certainty[id]; {
		case ours:
			found[id] = true
		case id == load.ForeignValue:
			foreign++
		case run.Earlier(id):
			earlier++
		default:
			unknown = append(unknown, id)
		}
	}
	if foreign > 0 && foreign == len(audit.IDs) && len(w.acknowledged) > 0 {
		f.open("lost", "none of %s of audit %s is an id of this run: is ids: where they are?", were(foreign, "entry", "entries"), c.In)
		return f.verdict()
	}
	if why := unsettled(audit); why != "" {
		f.open("lost", "%s", why)
	} else {
		c.judgeLost(f, w, found)
	}
	c.judgeUnwritten(f, w, found, unknown)
	if foreign+earlier > 0 {
		f.remark("in", "%s of the audit are not of this run, or of its warm-up", were(foreign+earlier, "entry", "entries"))
	}
	return f.verdict()
}

// unaudited says why there is nothing to compare with; "" if there is.
func (c Durable) unaudited(run *evidence.Run, audit *evidence.Audit) string {
	known := slices.ContainsFunc(run.Access, func(a evidence.Access) bool { return a.Writes && a.Data == c.Writes })
	switch {
	case !known:
		return fmt.Sprintf("no route writes %s: give one writes: %s", c.Writes, c.Writes)
	case run.Brief:
		return "what is lost shows when the run is over"
	case audit == nil:
		return fmt.Sprintf("audit %s was not asked: the run did not come to its end", c.In)
	case !audit.Whole:
		return fmt.Sprintf("audit %s does not tell what is there: %s", c.In, audit.Why)
	}
	return ""
}

// written is what became of the writes of a run.
type written struct {
	certainty    map[uint64]evidence.Certainty
	acknowledged []load.Sample
	atRisk       map[uint64]bool
	crashes      int
}

func (c Durable) writtenBy(run *evidence.Run) written {
	w := written{certainty: map[uint64]evidence.Certainty{}, atRisk: map[uint64]bool{}}
	crashes := crashesOf(run)
	w.crashes = len(crashes)
	for i := range run.Access {
		a := &run.Access[i]
		places, ok := run.Route(a.Route)
		if !a.Writes || a.Data != c.Writes || !ok {
			continue
		}
		for _, at := range places {
			s := run.Samples[at]
			sure := a.Certainty(&s)
			w.certainty[s.ID] = sure
			if sure != evidence.Yes {
				continue
			}
			w.acknowledged = append(w.acknowledged, s)
			for _, crash := range crashes {
				if s.Done >= crash.from-riskFor && s.Done <= crash.to {
					w.atRisk[s.ID] = true
				}
			}
		}
	}
	return w
}

// crashesOf lists when what holds data was put at risk: as it died, or as long as it was
// cut off or a command did something to it. What is on a link alone puts nothing at
// risk that was acknowledged over it.
func crashesOf(run *evidence.Run) (all []span) {
	for _, x := range run.Faults {
		if x.Injected < 0 || !x.OnTarget() && x.Kind != "exec" {
			continue
		}
		s := span{from: x.Injected, to: x.Healed, faults: []evidence.Injection{x}}
		if x.Healed < 0 {
			s.to = horizon(run)
		}
		if x.Kind == "kill" || x.Kind == "restart" {
			s.to = min(s.to, x.Injected+run.Noise(x.Injected, x.Injected)) // until all of its processes are dead
		}
		all = append(all, s)
	}
	return all
}

func (c Durable) judgeLost(f *finding, w written, found map[uint64]bool) {
	var lost []uint64
	lostAtRisk := 0
	for _, s := range w.acknowledged {
		if found[s.ID] {
			continue
		}
		lost = append(lost, s.ID)
		if w.atRisk[s.ID] {
			lostAtRisk++
		}
	}
	f.numbers.Add("acknowledged", float64(len(w.acknowledged)))
	f.numbers.Add("at_risk", float64(len(w.atRisk)))
	f.numbers.Add("lost", float64(len(lost)))
	switch {
	case len(lost) > 0:
	case w.crashes == 0:
		f.open("lost", "nothing that holds data was killed or cut off: add a kill of it")
	case len(w.atRisk) < leastRisk:
		f.open("lost", "only %s acknowledged within %s before a crash, and at least %d are needed: offer more, or crash more often",
			were(len(w.atRisk), "write was", "writes were"), short(riskFor), leastRisk)
	}
	m := measure{name: "lost", seen: exactly(len(lost)), allowed: atMost(0), sample: len(w.atRisk), ids: lost,
		says: fmt.Sprintf("%d of %s are lost, none of %d that were at risk: the true share of those is at most %.2g%%",
			len(lost), were(len(w.acknowledged), "acknowledged write", "acknowledged writes"), len(w.atRisk),
			300/float64(max(len(w.atRisk), 3))),
		refutes: fmt.Sprintf("%d of %s are lost, %d of them of the %d at risk", len(lost),
			were(len(w.acknowledged), "acknowledged write", "acknowledged writes"), lostAtRisk, len(w.atRisk))}
	f.rule(m)
	if len(lost) > 0 {
		first, last := never, ever
		for _, s := range w.acknowledged {
			if !found[s.ID] {
				first, last = min(first, s.Done), max(last, s.Done)
			}
		}
		f.remark("lost", "they were acknowledged between %s and %s", short(first), short(last))
	}
}

// judgeUnwritten rules on what is there and should not be.
func (c Durable) judgeUnwritten(f *finding, w written, found map[uint64]bool, unknown []uint64) {
	refused, maybes, made := unknown, 0, 0
	for id, sure := range w.certainty {
		switch {
		case sure == evidence.Maybe:
			maybes++
			if found[id] {
				made++
			}
		case sure == evidence.No && found[id]:
			refused = append(refused, id)
		}
	}
	slices.Sort(refused)
	f.rule(measure{name: "unwritten", seen: exactly(len(refused)), allowed: atMost(0), sample: len(found), ids: refused,
		says: fmt.Sprintf("%d that nobody wrote, or that were refused, are there", len(refused))})
	if maybes > 0 {
		f.numbers.Add("maybe", float64(maybes))
		f.numbers.Add("maybe_there", float64(made))
		f.remark("unwritten", "of %s not acknowledged, %d are there all the same", were(maybes, "write that was", "writes that were"), made)
	}
}
