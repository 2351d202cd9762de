package gameday

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load/input"
)

// experimentFile is the experiment in a run directory.
const experimentFile = "experiment.yaml"

// Export is the experiment that does again what people did in the run of dir: each
// fault that they injected comes when it came, and goes when it went. The load is as
// long as it was. What was not injected, because it could not be, is left out, and
// notes say so.
func Export(dir string) (x *experiment.Experiment, notes []string, err error) {
	run, err := evidence.ReadTimeline(dir)
	if err != nil {
		return nil, nil, err
	}
	text, err := input.ReadBelow(dir, experimentFile, experiment.File)
	if err != nil {
		return nil, nil, err
	}
	x, err = experiment.Parse(filepath.Join(dir, experimentFile), text, experiment.Options{})
	if err != nil {
		return nil, nil, err
	}
	if x.GameDay == nil {
		return nil, nil, fmt.Errorf("%s is not the directory of a game day: its experiment has no key gameday", dir)
	}
	choices, err := choicesOf(dir)
	if err != nil {
		return nil, nil, err
	}
	planned := len(x.Chaos)
	for _, f := range run.Faults[min(planned, len(run.Faults)):] {
		if f.Injected < 0 {
			notes = append(notes, fmt.Sprintf("%s is left out: it never came into force", f.Name))
			continue
		}
		choice := choices[f.Index]
		if choice < 1 || choice > len(x.GameDay.Palette) {
			return nil, nil, fmt.Errorf("%s: fault %s is none of the palette", dir, f.Name)
		}
		e := x.GameDay.Palette[choice-1].Event
		e.Name, e.At = f.Name, f.Injected.Round(time.Millisecond)
		if e.Restart == nil {
			healed := f.Healed
			if healed < 0 {
				healed = run.End
				notes = append(notes, fmt.Sprintf("%s was in force where the evidence ends: it lasts to there", f.Name))
			}
			e.For = max(time.Millisecond, (healed - f.Injected).Round(time.Millisecond))
		}
		x.Chaos = append(x.Chaos, e)
	}
	notes = append(notes, resize(x, run.End)...)
	x.GameDay = nil
	if len(x.Chaos) == 0 {
		notes = append(notes, "nobody injected anything: it is load alone")
	}
	return x, notes, nil
}

// resize gives the load the length that it had, up to the next whole second: a fault
// that was healed by its end must be healed before it.
func resize(x *experiment.Experiment, end time.Duration) (notes []string) {
	for _, e := range x.Chaos {
		end = max(end, e.At+e.Lasts()+time.Millisecond)
	}
	end = (end + time.Second - 1).Truncate(time.Second)
	switch {
	case x.Load.Duration > 0:
		x.Load.Duration = end
	case x.Load.Length() > end:
		notes = append(notes, fmt.Sprintf("the load goes on after %s, where this one was ended: its stages are as they were", end))
	}
	return notes
}

// choicesOf is the place in the palette, from 1, of each fault that was injected by
// hand, by its index.
func choicesOf(dir string) (map[int]int, error) {
	choices := map[int]int{}
	err := evidence.Events(dir, func(e evidence.Event) {
		if e.Kind == evidence.KindFault && e.Injection != nil {
			choices[e.Injection.Index] = e.Choice
		}
	})
	return choices, err
}

// Text is the experiment as a file, with what it is of as a comment. Whatever dir is
// called and notes have, comments they stay.
func Text(x *experiment.Experiment, dir string, notes []string) ([]byte, error) {
	text, err := experiment.Marshal(x)
	if err != nil {
		return nil, err
	}
	head := "# What was done by hand in " + input.Printable(filepath.Base(dir)) + ", at the times when it was done.\n"
	for _, n := range notes {
		head += "# " + input.Printable(n) + "\n"
	}
	return append([]byte(head), text...), nil
}
