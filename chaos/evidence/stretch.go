package evidence

import (
	"maps"
	"slices"
	"time"

	"github.com/stormctl/stormctl/load"
)

// A Stretch is a part of a run as a run of its own: all its times count from From.
type Stretch struct {
	Number int // from 1: a new one has nothing of those before it
	*Run
	From, To time.Duration // of the whole run; as long as From is 0 and it has not Ended, it is all of it
	Ended    bool          // there was no room for what came after To
}

// asRun is the stretch as a run.
func (f *Follower) asRun() *Stretch {
	run := &Run{
		Name: f.run.Name, About: f.run.About, Seed: f.run.Seed, Started: f.run.Started.Add(f.from), Load: f.run.Load - f.from,
		Skips: f.run.Skips, Batch: f.run.Batch, Warmup: f.run.Warmup, Partial: f.run.Partial || f.ended, Stopped: f.run.Stopped,
		NotSteady: f.run.NotSteady, Routes: f.run.Routes, Links: map[string]*Link{}, Lost: maps.Clone(f.run.Lost),
	}
	if f.from > 0 && run.Warmup == nil {
		run.Warmup = &Warmup{Length: Seconds(f.from)} // so that nobody takes it for all that ever came
	}
	if f.run.End > 0 && !f.ended {
		run.End = f.run.End - f.from
	}
	f.samples = slices.DeleteFunc(f.samples, func(s load.Sample) bool { return f.left(s.ID) })
	arrange(f.samples, samplesInOrder)
	run.Samples = f.samples
	for name, l := range f.run.Links {
		list := slices.DeleteFunc(f.links[name], func(x Exchange) bool { return f.left(x.ID) })
		f.links[name] = list
		arrange(list, exchangesInOrder)
		run.Links[name] = &Link{Name: name, From: l.From, To: l.To, Exchanges: list, Unread: l.Unread, FirstUnread: l.FirstUnread}
	}
	to := f.clock()
	if f.ended {
		to = f.cut
	}
	for _, i := range f.run.Faults {
		if i.Injected >= 0 && i.Healed >= 0 && i.Healed < f.from {
			continue // it was before
		}
		if f.ended && i.Injected > to {
			i.Injected, i.Healed = -1, -1
		} else if f.ended && i.Healed > to {
			i.Healed = -1
		}
		i.At -= Seconds(f.from)
		if i.Injected >= 0 {
			i.Injected -= f.from
		}
		if i.Healed >= 0 {
			i.Healed -= f.from
		}
		run.Faults = append(run.Faults, i)
	}
	for _, t := range f.run.Ticks {
		if f.ended && t.At > to {
			break
		}
		t.At -= f.from
		run.Ticks = append(run.Ticks, t)
	}
	for _, d := range f.run.Deaths {
		d.At -= f.from
		run.Deaths = append(run.Deaths, d)
	}
	for _, a := range f.run.Alerts {
		a.At -= f.from
		run.Alerts = append(run.Alerts, a)
	}
	for _, n := range f.run.Notes {
		run.Notes = append(run.Notes, Note{n.At - f.from, n.Text})
	}
	run.settleEnd()
	return &Stretch{Number: f.stretch, Run: run, From: f.from, To: to, Ended: f.ended}
}
