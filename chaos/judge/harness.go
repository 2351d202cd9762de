package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Whether the harness was well is known in one place, load.Checkup. What that
// means is asked here, per claim and for the stretch of the run that it rests
// on: one trouble leaves a claim with no evidence, another makes its intervals
// wider, a third does not touch it. A claim that holds in a run whose harness
// was unwell says why it does.

// leaning is on what a claim rests, beside the counts that all rest on.
type leaning uint8

const (
	onDue   leaning = 1 << iota // times since requests were due
	onTimes                     // times of the link, or between callers and link, which the host's noise blurs
	onLoad                      // that the load was the one that was declared
	onWell                      // nothing but what was due and had ended in stretches in which the harness was well
	onAge                       // times between requests, which no noise makes seem longer than they were
)

// lateLoad is how late a hundredth of the requests may have been sent for the
// load to be the one that was declared.
const lateLoad = 100 * time.Millisecond

// blind says why there is no evidence of what happened in [from, to]: "" if
// there is.
func blind(run *evidence.Run, from, to time.Duration, leans leaning) string {
	if end := horizon(run); run.Partial && end < to {
		return fmt.Sprintf("the run was cut short: its evidence is whole only up to %s, and the claim needs it up to %s",
			short(end), short(to))
	}
	if why := incomplete(run); why != "" {
		return why
	}
	until := ended(run, from, to)
	if still, at := run.StoodStill(from, until); still > 0 {
		return fmt.Sprintf("the harness stood still for %s around %s: what the system did meanwhile was not seen, and what it did next "+
			"was done under the burst of what had been due", short(still), short(at))
	}
	if why := otherLoad(run, from, to); leans&onLoad != 0 && why != "" {
		return why
	}
	if swamped, at := run.Swamped(from, until); leans&(onDue|onTimes|onLoad) != 0 && swamped > 0 {
		return fmt.Sprintf("the machine was swamped for %s up to %s: so many threads wanted its cores that what ran on it had a small "+
			"share of one, and was late by any time: end what else runs there", short(swamped), short(at))
	}
	if pause, noise := longestPause(run, from, until), run.Noise(from, to); leans != 0 && pause > noise &&
		short(pause) != short(noise) { // as near as either is told
		return fmt.Sprintf("Go stopped the harness for %s to collect garbage, longer than the noise of %s that times are known within",
			short(pause), short(noise))
	}
	return ""
}

// incomplete says why the records are not those that the run made: "" if they are.
func incomplete(run *evidence.Run) string {
	if flaws := flawText(run); flaws != "" {
		return fmt.Sprintf("the evidence is not what the run recorded (%s), so that counts are in doubt: rule on a copy that is whole, "+
			"or repeat the run", flaws)
	}
	if n := lost(run); n > 0 {
		return fmt.Sprintf("%d evidence records were lost%s, so that counts are in doubt", n, lostWhere(run))
	}
	return ""
}

// otherLoad says why the load of [from, to] was not the one that was declared:
// "" if it was.
func otherLoad(run *evidence.Run, from, to time.Duration) string {
	late, at := lateness(run, from, ended(run, from, to))
	if late <= lateLoad {
		return ""
	}
	return fmt.Sprintf("the harness was late: 1%% of the requests around %s were sent more than %s after they were due, so that the "+
		"load was another one", short(at), short(late))
}

// lost is how many records are missing. A torn last line of a run that was cut
// is none of them: evidence.Read leaves it out, and it lies beyond the horizon.
func lost(run *evidence.Run) uint64 {
	var lost uint64
	for _, n := range run.Lost {
		lost += n
	}
	for _, t := range run.Ticks {
		lost = max(lost, t.Lost)
	}
	return lost
}

// flawText names what is wrong with which file, and since which second.
func flawText(run *evidence.Run) string {
	return unit.List(run.Flaws, "; ", evidence.Flaw.String)
}

// lostWhere names the files that lack records.
func lostWhere(run *evidence.Run) string {
	var files []string
	for _, file := range slices.Sorted(maps.Keys(run.Lost)) {
		if strings.ContainsAny(file, "/.") {
			files = append(files, fmt.Sprintf("%s: %d", file, run.Lost[file]))
		}
	}
	if len(files) == 0 {
		return ""
	}
	return " (" + strings.Join(files, "; ") + ")"
}

// ended is when the last request that was due in [from, to] had ended: what the
// harness suffered until then bears on them. A second's figures are of what
// ended in it.
func ended(run *evidence.Run, from, to time.Duration) time.Duration {
	last := to
	for _, s := range run.Window(from, to) {
		last = max(last, s.Done)
	}
	return last
}

// lateness is how late the harness sent a hundredth of the requests in the worst
// second of [from, to], and when that was. A hiccup of the host explains it, but
// excuses nothing: the system saw another load than the one that was declared.
func lateness(run *evidence.Run, from, to time.Duration) (late, at time.Duration) {
	for _, t := range run.TicksIn(from, to) {
		if l := t.LateP99.Duration(); l > late {
			late, at = l, t.At
		}
	}
	return late, at
}

func longestPause(run *evidence.Run, from, to time.Duration) (pause time.Duration) {
	for _, t := range run.TicksIn(from, to) {
		pause = max(pause, t.Pause.Duration())
	}
	return pause
}

// blur is by how much the times of callers in [from, to] may be too long: by
// what the host did, to a system of several processes too, in which work piles up
// where there is no core to spare, and by what the harness itself did to those of
// its event loops and of its runtime.
func blur(run *evidence.Run, from, to time.Duration) time.Duration {
	blur := max(run.Lateness(from, to), run.Turn(from, to))
	for _, t := range run.TicksIn(from, to) {
		blur = max(blur, t.LateP99.Duration(), t.Pause.Duration())
	}
	return blur
}

// despite says why a claim that rests on some stretches of a run holds although
// the harness was not well in it, or a target ended by itself: "" if neither
// is so. It is false if the claim does not stand, and says why not.
func despite(run *evidence.Run, rested []stretch, leans leaning) (why string, stands bool) {
	var whys []string
	say := func(why string) {
		if !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	switch unwell := len(run.Problems(0, run.End)) > 0; {
	case unwell && leans&onWell != 0:
		say("what was due or under way while the harness was not well counts neither way")
	case unwell:
		inside := troubles(run, rested)
		if len(inside) == 0 {
			say("the harness was well " + when(rested) + ", which it rests on")
		}
		for _, trouble := range inside {
			why := immune(run, rested, leans, trouble)
			if why == "" {
				return "the harness was not well, in a way that leaves it open what was seen", false
			}
			say(why)
		}
	}
	var last time.Duration
	for _, s := range rested {
		last = max(last, s.to)
	}
	_, after := died(run, last)
	for _, d := range after {
		say(deathText(d) + ", after what it rests on")
	}
	return strings.Join(whys, "; "), true
}

// troubles are those that bear on some stretches of a run, each once.
func troubles(run *evidence.Run, rested []stretch) []load.Trouble {
	var all []load.Trouble
	for _, s := range rested {
		for _, p := range run.Problems(s.from, ended(run, s.from, s.to)) {
			all = append(all, p.Trouble)
		}
		// Arrivals are given up at the end, long after they were due.
		if slices.ContainsFunc(run.Window(s.from, s.to), func(x load.Sample) bool { return x.Outcome == load.Unsent && !run.Skips }) {
			all = append(all, load.TroubleUnsent)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// when prints stretches: "from 0 µs to 2 s and from 5 s to 8 s".
func when(rested []stretch) string {
	return unit.List(rested, " and ", func(s stretch) string { return fmt.Sprintf("from %s to %s", short(s.from), short(s.to)) })
}

// immune says why a trouble does not shake what held: it does not bear on it,
// can only have made it harder to hold, or is within the intervals already. ""
// is no reason: it does not stand.
//
//	trouble           bears on                              and what is done about it
//	lost              every count                           blind: nothing stands
//	starved, unsent   goodput, and quantiles of times       not sent counts as failed, and as an endless time
//	late, limited     times since due; the load             a bound above is met by what is too long; blind beyond lateLoad
//	busy              the times of callers                  as late
//	paused            every time                            blind beyond the noise, within it as a hiccup
//	stalled, crowded  every time; calls that time out       Noise is in the intervals; what failed, failed; blind where swamped
//	still             all that was not seen                 blind: nothing stands
func immune(run *evidence.Run, rested []stretch, leans leaning, trouble load.Trouble) string {
	switch trouble {
	case load.TroubleLate, load.TroubleLimited:
		if leans&onDue == 0 {
			return "requests were sent late, but nothing in it counts from when they were due"
		}
		return "requests were sent late, which makes times since they were due longer, and those met their bounds all the same"
	case load.TroubleBusy:
		if leans&onDue == 0 {
			return "an event loop had no time left, but nothing in it counts from when requests were due"
		}
		return "an event loop had no time left, which makes the times of callers longer, and those met their bounds all the same"
	case load.TroubleStalled, load.TroubleCrowded, load.TroublePaused:
		if leans == 0 {
			return "the host was busy, but nothing in it is a time"
		}
		if leans == onAge {
			return "the host was busy, which made times longer, and none seem longer than it was"
		}
		var noise time.Duration
		for _, s := range rested {
			noise = max(noise, run.Noise(s.from, s.to))
		}
		return fmt.Sprintf("the host was busy: a time may be up to %s too long, and its interval is as wide as the host was busy then",
			short(noise))
	case load.TroubleStarved, load.TroubleUnsent:
		return "arrivals that were never sent count as failed, or were not needed for it"
	}
	return ""
}

// goneText says which agents were lost, so that nothing holds: a load without their
// share is another one than was declared; "" if none was.
func goneText(run *evidence.Run) string {
	if len(run.Gone) == 0 {
		return ""
	}
	return unit.List(run.Gone, ", ", func(g evidence.LostAgent) string {
		return fmt.Sprintf("agent %s was lost at %s (%s)", g.Agent, short(g.At), g.Text)
	}) + ", and its share of the load was not sent from then on: run it again"
}
