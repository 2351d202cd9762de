package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Failover claims that routes are served again soon after something was lost that is not
// put back: another node takes over. The time is from the injection to the start of the
// first second in which 99% of the requests that were due succeeded.
//
// With primaries, each node is written to by a route of its own: once another one has
// acknowledged a write, the old one acknowledges none any more.
//
// With region, it is callers from a region that is lost who are served again, by another
// one, until the region is back: see failover_region.go.
type Failover struct {
	Routes []string      `yaml:"routes"` // The routes that are served again; absent means all, which takes region.
	During string        `yaml:"during"` // The kind of the faults, or the name of one; absent means all, with region its region_loss.
	Within time.Duration `yaml:"within"` // So soon each time at most; absent is not judged.
	// At most so many targets acknowledge writes in turn after one fault, before the next; absent is not judged.
	Primaries int `yaml:"primaries"`
	// Callers from this region, of load.from, are served again while it is lost, and then go on being served; absent means
	// callers from anywhere.
	Region string `yaml:"region"`
	// With region: at least this share of its requests succeeds from when it is served again until it is back; absent is not judged.
	Success unit.Share `yaml:"success"`
	// With region, unaffected: callers from each other region keep at least 99% of their successes, and their p99 is no longer than
	// twice what it was, or 100ms longer; absent is not judged.
	OtherRegions string `yaml:"other_regions"`
}

const (
	backFor   = time.Second // of what is served again
	backShare = 0.99        // of the requests that were due then
	backLeast = 20          // requests due in that time
)

func (c Failover) String() string {
	if c.Region != "" {
		return c.ofRegion()
	}
	var parts []string
	if c.Within > 0 {
		parts = append(parts, fmt.Sprintf("%s are served again within %s", strings.Join(c.Routes, ", "), short(c.Within)))
	}
	if c.Primaries > 0 {
		parts = append(parts, fmt.Sprintf("at most %s", were(c.Primaries, "primary", "primaries")))
	}
	return "failover: " + strings.Join(parts, ", ")
}

func (c Failover) picks(x evidence.Injection) bool {
	if c.Region != "" && c.During == "" {
		return x.Kind == "region_loss" && x.On == "region "+c.Region
	}
	return Available{During: c.During}.picks(x)
}

// Judge implements Claim.
func (c Failover) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "failover")
	var lost []evidence.Injection
	for _, x := range run.Faults {
		if x.Injected >= 0 && x.Injected < horizon(run) && c.picks(x) {
			lost = append(lost, x)
		}
	}
	slices.SortStableFunc(lost, func(a, b evidence.Injection) int { return cmp.Compare(a.Injected, b.Injected) })
	if c.Region != "" {
		c.judgeRegion(f, lost)
		return f.verdict()
	}
	if len(lost) == 0 {
		f.open(c.firstPart(), "%s", noEpisode(run, "", c.picks))
		return f.verdict()
	}
	var leans leaning // who acknowledges when is a fact, however late the load was
	if c.Within > 0 {
		leans = onDue | onLoad
	}
	f.rests(lost[0].Injected, horizon(run), leans)
	if c.Within > 0 {
		for _, route := range c.Routes {
			c.judgeWithin(f, route, lost)
		}
	}
	if c.Primaries > 0 {
		c.judgePrimaries(f, lost)
	}
	return f.verdict()
}

func (c Failover) firstPart() string {
	if c.Within > 0 {
		return "within"
	}
	return "primaries"
}

// untilNext is up to when what followed a loss is its own: the next one, or the end.
func untilNext(run *evidence.Run, lost []evidence.Injection, i int) time.Duration {
	if i+1 < len(lost) {
		return lost[i+1].Injected
	}
	return horizon(run)
}

func (c Failover) judgeWithin(f *finding, route string, lost []evidence.Injection) {
	all, ok := samplesOf(f.run, route)
	if !ok {
		f.open("within", noRoute, route)
		return
	}
	var longest Interval
	var took []time.Duration
	failed, ids := 0, []uint64{}
	for i, x := range lost {
		until := untilNext(f.run, lost, i)
		after := due(all, x.Injected, until)
		if after.len() < backLeast {
			more := "offer more"
			if i+1 < len(lost) {
				more = fmt.Sprintf("%s followed at %s: name by during the one that it is about, or offer more", lost[i+1].Name,
					short(lost[i+1].Injected))
			}
			f.open("within", "only %s of %s were due after %s at %s: %s", were(after.len(), "request", "requests"), route, x.Name,
				short(x.Injected), more)
			return
		}
		back := servedAgain(after, x.Injected, until)
		seen := Interval{max(0, float64(back.from-x.Injected-f.run.Noise(x.Injected, x.Injected))), float64(back.to - x.Injected)}
		failed += len(back.failed)
		took = append(took, back.to-x.Injected)
		if back.never {
			seen.High = math.Inf(1)
		}
		if seen.High > longest.High {
			longest, ids = seen, back.failed
		}
	}
	slices.Sort(took)
	f.numbers.Add(route+"_longest_ms", float64(took[len(took)-1])/float64(time.Millisecond))
	f.numbers.Add(route+"_median_ms", float64(took[len(took)/2])/float64(time.Millisecond))
	says := fmt.Sprintf("%s was served again after %s at most, %s in the median of %s", route, short(took[len(took)-1]),
		short(took[len(took)/2]), were(len(took), "loss", "losses"))
	if failed == 0 {
		says = fmt.Sprintf("no request of %s failed in %s", route, were(len(took), "loss", "losses"))
	}
	if math.IsInf(longest.High, 1) {
		says = fmt.Sprintf("%s was not served again in the %s that followed", route, short(time.Duration(longest.Low)))
	}
	f.rule(measure{name: "within", unit: timed, seen: longest, allowed: atMost(c.Within), sample: len(took), ids: ids, says: says,
		hidden: "how far apart requests were due", settle: "more load, or a bound further from the figure"})
}

// servedBack is when a route was served again: between two requests.
type servedBack struct {
	from, to time.Duration
	never    bool // it was not, as far as is known
	failed   []uint64
}

// servedAgain finds the first second in which almost all requests succeeded.
func servedAgain(after arrivals, lost, until time.Duration) servedBack {
	var samples []load.Sample
	for _, s := range after.all() {
		samples = append(samples, *s)
	}
	before := lost
	var b servedBack
	for i := range samples {
		start := samples[i].Intended
		if i == 0 {
			start = lost
		}
		if start+backFor > until {
			break
		}
		n, ok := 0, 0
		for _, s := range samples[i:] {
			if s.Intended >= start+backFor {
				break
			}
			if n++; s.Outcome == load.OK {
				ok++
			}
		}
		if n >= backLeast && float64(ok) >= backShare*float64(n) && (samples[i].Outcome == load.OK || i == 0) {
			b.from, b.to = before, start
			return b
		}
		before = samples[i].Intended
		if samples[i].Outcome != load.OK {
			b.failed = append(b.failed, samples[i].ID)
		}
	}
	b.from, b.to, b.never = max(lost, until-backFor), until, true
	return b
}

// judgePrimaries rules on how many targets acknowledged writes at the same time: as of a
// target's first acknowledgement after a loss it is one, until the last that it sends.
func (c Failover) judgePrimaries(f *finding, lost []evidence.Injection) {
	most, ids, tookOver := 0, []uint64{}, false
	at := time.Duration(0)
	before, targets := c.termsIn(f.run, 0, lost[0].Injected)
	for i, x := range lost {
		terms, _ := c.termsIn(f.run, x.Injected, untilNext(f.run, lost, i))
		for to := range terms {
			tookOver = tookOver || before[to] == nil
		}
		if n, who := overlapping(terms); n > most {
			most, ids, at = n, who, x.Injected
		}
		if len(terms) > 0 {
			before = terms
		}
	}
	if targets < 2 {
		f.open("primaries", "%s do not write to several targets: give each node a route of its own, with writes",
			strings.Join(c.Routes, ", "))
		return
	}
	if most == 0 {
		f.open("primaries", "no write was acknowledged after a loss")
		return
	}
	if !tookOver && most <= c.Primaries {
		f.open("primaries", "no other target took over, after %s: cut off or kill the one that acknowledges writes, and for longer",
			were(len(lost), "loss", "losses"))
		return
	}
	f.numbers.Add("primaries", float64(most))
	f.rule(measure{name: "primaries", seen: exactly(most), allowed: atMost(c.Primaries), sample: len(lost), ids: ids,
		says: fmt.Sprintf("%s acknowledged writes in turn after the loss at %s", were(most, "target", "targets"), short(at))})
}

// termsIn are those of the writes that were due in [from, to), by target, and how many
// targets the routes write to.
func (c Failover) termsIn(run *evidence.Run, from, to time.Duration) (terms map[string]*term, targets int) {
	terms, of := map[string]*term{}, map[string]bool{}
	for _, a := range run.Access {
		if !a.Writes || !slices.ContainsFunc(c.Routes, func(name string) bool { return evidence.Selects(name, a.Route) }) {
			continue
		}
		of[a.To] = true
		all, _ := samplesOf(run, a.Route)
		for _, s := range due(all, from, to).all() {
			if a.Certainty(s) == evidence.Yes {
				terms[a.To] = terms[a.To].with(s)
			}
		}
	}
	return terms, len(of)
}

// term is from when to when a target acknowledged writes.
type term struct {
	from, to    time.Duration // when its first one was acknowledged, and when its last one was sent
	first, last uint64
}

func (t *term) with(s *load.Sample) *term {
	if t == nil {
		return &term{s.Done, s.Sent, s.ID, s.ID}
	}
	if s.Done < t.from {
		t.from, t.first = s.Done, s.ID
	}
	if s.Sent > t.to {
		t.to, t.last = s.Sent, s.ID
	}
	return t
}

// overlapping is the most terms that overlap, and requests that show it.
func overlapping(terms map[string]*term) (most int, ids []uint64) {
	for _, a := range terms {
		n, who := 1, []uint64{a.first}
		for _, b := range terms {
			if b != a && b.from <= a.from && b.to > a.from {
				n, who = n+1, append(who, b.last)
			}
		}
		if n > most {
			most, ids = n, who
		}
	}
	return most, ids
}
