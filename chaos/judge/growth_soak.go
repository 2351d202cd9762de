package judge

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Trough is the least that a target took in a chapter of a soak.
type Trough struct {
	From, To time.Duration // of the chapter, on the clock of the soak
	Least    evidence.TargetTick
}

// Whole rules on what the target takes over all of a soak, by the troughs of its chapters
// in their order. It is false if there are too few of them to say more than the chapters do
// by themselves: what grows by little in an hour does not show in ten minutes. Of what a
// route takes the chapters speak.
func (c Growth) Whole(seed uint64, all []Trough) (v Verdict, ok bool) {
	if len(all) < leastTroughs || len(c.figures()) == 0 || c.P50 != nil {
		return v, false
	}
	run := &evidence.Run{Seed: seed}
	for _, t := range all {
		c.Troughs = max(c.Troughs, t.To-t.From)
		run.Ticks = append(run.Ticks, evidence.Tick{At: t.To, Longest: evidence.Seconds(time.Second),
			Targets: map[string]evidence.TargetTick{c.Target: t.Least}})
	}
	run.End = all[len(all)-1].To
	run.Load = run.End
	return c.Judge(run), true
}
