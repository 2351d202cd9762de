package series

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

// phase is a place in phaseNames.
type phase int8

const (
	wholeRun phase = iota // nothing was injected
	beforeFaults
	duringFaults
	betweenFaults
	afterFaults
)

var phaseNames = [...]string{"all", "before", "during", "between", "after"}

// phaseOf is the one of a second.
func phaseOf(faults []evidence.Injection, from, to time.Duration) phase {
	in := wholeRun
	before, after := true, true
	for i := range faults {
		f := &faults[i]
		if f.Injected < 0 {
			continue
		}
		heals := f.Healed >= f.Injected
		if f.Injected < to && (!heals || f.Healed > from) {
			return duringFaults
		}
		in = betweenFaults
		before = before && f.Injected >= to
		after = after && heals && f.Healed <= from
	}
	switch {
	case in == wholeRun:
		return wholeRun
	case before:
		return beforeFaults
	case after:
		return afterFaults
	}
	return in
}

// phases collect the times of each phase.
type phases struct {
	of    []phase // each second
	seen  [len(phaseNames)]phaseTimes
	links []Link
}

type phaseTimes struct {
	any      bool
	from, to time.Duration
	response *hist.Histogram
	links    []*hist.Histogram // in the order of phases.links
}

func newPhases(faults []evidence.Injection, t *times, links []Link) *phases {
	p := &phases{links: links}
	for i, end := range t.ends {
		in := phaseOf(faults, t.from(i), end)
		p.of = append(p.of, in)
		seen := &p.seen[in]
		if !seen.any {
			*seen = phaseTimes{any: true, from: t.from(i), response: hist.New()}
			for range links {
				seen.links = append(seen.links, hist.New())
			}
		}
		seen.to = end
	}
	return p
}

// response is what response times of a second are added to.
func (p *phases) response(second int) *hist.Histogram { return p.seen[p.of[second]].response }

// link is the same of a link's exchanges.
func (p *phases) link(second, link int) *hist.Histogram { return p.seen[p.of[second]].links[link] }

// end lists the phases that there were.
func (p *phases) end() []Phase {
	var all []Phase
	for in, seen := range p.seen {
		if !seen.any {
			continue
		}
		phase := Phase{Name: phaseNames[in], From: evidence.Seconds(seen.from), To: evidence.Seconds(seen.to),
			Count: seen.response.Count(), Spectrum: spectrum(seen.response)}
		for k, h := range seen.links {
			phase.Links = append(phase.Links, LinkPhase{Link: p.links[k].Name, Count: h.Count(), Spectrum: spectrum(h)})
		}
		all = append(all, phase)
	}
	return all
}
