//go:build unix

package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load/arrivals"
)

// A resumption is what a soak goes on from that was killed.
type resumption struct {
	started  time.Time     // of its clock
	from, to time.Duration // the gap: when the last second ended, and when it goes on
	why      string
	steady   bool // faults have come: the steady state was confirmed
	chapter  int  // number of the next one
	waiting  []chapters.Closed
}

// Resume goes on with a soak whose harness was killed, with what is left of its plan. x,
// if it is not nil, must be the experiment that it was begun with; a Seed of 0 is any.
// Otherwise it is as Run.
func Resume(ctx context.Context, dir string, x *experiment.Experiment, opts Options) (*result.Result, error) {
	if err := resumable(dir); err != nil {
		return nil, err
	}
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	unlock() // from here on the load has it
	begun, err := readExperiment(dir, nil)
	if err != nil {
		return nil, err
	}
	if err := unchanged(begun, x, dir); err != nil {
		return nil, err
	}
	if err := healOf(ctx, dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	r, err := resumptionOf(root)
	if err != nil {
		return nil, err
	}
	in, err := begun.ReadInputs()
	if err != nil {
		return nil, err
	}
	schedule, err := begun.Load.Schedule(begun.Seed, in.Times)
	if err != nil {
		return nil, err
	}
	if err := makeRoom(root, begun); err != nil {
		return nil, err
	}
	if time.Since(r.started) >= schedule.Duration() {
		return r.over(root, begun, schedule.Duration(), opts)
	}
	if err := execute(ctx, begun, in, schedule, nil, dir, root, opts, r); err != nil {
		return nil, fmt.Errorf("%w (run directory: %s)", in.MaskError(err), dir)
	}
	return finished(dir, opts)
}

// resumable says why a run cannot be gone on with; nil if it can.
func resumable(dir string) error {
	goesOn := goesOn(dir)
	if err := begun(dir, goesOn); err != nil {
		return err
	}
	switch {
	case goesOn:
		return fmt.Errorf("the run of %s goes on: stormctl halt ends it", dir)
	case !chapters.Is(dir):
		return fmt.Errorf("the run of %s is judged whole, and a part of it proves nothing of the rest: run it again; "+
			"a run in chapters can be resumed (every: of an event, or longer than soak.chapter)", dir)
	}
	run, err := evidence.Read(dir)
	if err != nil {
		return err
	}
	if run.Stopped != evidence.Killed {
		return fmt.Errorf("the run of %s came to its end, and there is nothing to go on with: stormctl judge %s rules on it again",
			dir, dir)
	}
	return nil
}

// unchanged refuses an experiment that is another one than the run was begun with.
func unchanged(begun, given *experiment.Experiment, dir string) error {
	if given == nil {
		return nil
	}
	x := *given
	x.Seed = cmp.Or(x.Seed, begun.Seed)
	was, err := experiment.Marshal(begun)
	if err != nil {
		return err
	}
	is, err := experiment.Marshal(&x)
	if err != nil {
		return err
	}
	before, now := strings.Split(string(was), "\n"), strings.Split(string(is), "\n")
	for i := range max(len(before), len(now)) {
		var a, b string
		if i < len(before) {
			a = before[i]
		}
		if i < len(now) {
			b = now[i]
		}
		if a != b {
			return fmt.Errorf("the experiment is not the one that %s was begun with: %q was %q; a soak goes on with what it began: "+
				"give --resume %s without a file, or begin another one", dir, strings.TrimSpace(b), strings.TrimSpace(a), dir)
		}
	}
	return nil
}

// healOf undoes what the killed run left behind, and what others did.
func healOf(ctx context.Context, dir string) error {
	folders, err := lease.StateDirs()
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, folder := range folders {
		found, err := lease.Heal(ctx, folder, false)
		errs = append(errs, err)
		for _, f := range found {
			for _, l := range f.Left {
				if f.Dir == abs {
					errs = append(errs, fmt.Errorf("%s of the run that was killed could not be healed: %s: by hand: %s", l.Fault,
						l.Why, l.ByHand))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// resumptionOf looks at what the killed run left, and says in its chapters that they
// were cut off.
func resumptionOf(root *os.Root) (*resumption, error) {
	dir := root.Name()
	run, err := evidence.Read(dir)
	if err != nil {
		return nil, err
	}
	r := &resumption{started: run.Started, why: "it was killed, and resumed", steady: len(run.Rounds) > 0, chapter: 1}
	if n := len(run.Ticks); n > 0 {
		r.from = run.Ticks[n-1].At
	}
	there, err := chapters.Kept(dir)
	if err != nil {
		return nil, err
	}
	entries, err := chapters.Entries(dir)
	if err != nil {
		return nil, err
	}
	judged := map[int]bool{}
	for _, e := range entries {
		judged[e.Number] = true
		r.chapter = max(r.chapter, e.Number+1)
	}
	for _, number := range there {
		r.chapter = max(r.chapter, number+1)
		if judged[number] {
			continue
		}
		c, err := r.cutOff(root, number)
		if err != nil {
			return nil, fmt.Errorf("chapter %d: %w", number, err)
		}
		r.waiting = append(r.waiting, c)
	}
	return r, nil
}

// cutOff says of a chapter that was open when the run was killed that it was, and of one
// that was whole nothing.
func (r *resumption) cutOff(root *os.Root, number int) (chapters.Closed, error) {
	dir := chapters.Dir(root.Name(), number)
	c := chapters.Closed{Number: number, Dir: dir}
	run, err := evidence.ReadTimeline(dir)
	if err != nil {
		return c, err
	}
	if run.Chapter != nil {
		c.From = run.Chapter.From.Duration()
	}
	c.To, c.Started, c.Faults = c.From+run.End, run.Started, len(run.Faults)
	if run.Stopped != evidence.Killed {
		return c, nil
	}
	chapter, err := chapters.Open(root, number)
	if err != nil {
		return c, err
	}
	defer chapter.Close() // the timeline has a descriptor of its own
	t, err := evidence.AppendTimeline(chapter, evidence.TimelineFile)
	if err != nil {
		return c, err
	}
	if run.Blank == "" {
		t.Add(evidence.Event{At: evidence.Seconds(r.from), Kind: evidence.KindBlank,
			Text: "the harness was killed while the chapter went on, so that its end was not seen"})
	}
	c.To = max(c.From, min(c.From+run.Load, r.from))
	return c, t.Close()
}

// makeRoom removes what was made for the targets of the killed run and is made anew.
func makeRoom(root *os.Root, x *experiment.Experiment) error {
	errs := []error{root.RemoveAll("tls")}
	for name, t := range x.Targets {
		if t.Process == nil {
			continue
		}
		for file := range t.Process.Files {
			if err := root.Remove(filepath.Join("targets", name, filepath.FromSlash(file))); !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// resumeIn is how soon a soak goes on once all is ready.
const resumeIn = 500 * time.Millisecond

// rest is what is left of a schedule, and when its first arrival was due, the warm-up's
// if there is one: so that the clock goes on. The wall clock says how long it was away;
// one that was set back is not believed.
func (r *resumption) rest(s arrivals.Schedule, warmup time.Duration) (arrivals.Schedule, time.Time) {
	for took := time.Duration(0); ; {
		now := time.Now()
		elapsed := max(r.from, now.Sub(r.started))
		r.to = elapsed + 2*took + resumeIn
		left := arrivals.After(s, r.to+warmup) // of a long soak this takes seconds
		if took = time.Since(now); elapsed+took < r.to {
			return left, now.Add(-elapsed - warmup)
		}
	}
}

// gap is what was missed.
func (r *resumption) gap() evidence.Gap {
	return evidence.Gap{From: evidence.Seconds(r.from), To: evidence.Seconds(r.to), Why: r.why}
}

// over ends a soak whose time has passed while nobody was there.
func (r *resumption) over(root *os.Root, x *experiment.Experiment, length time.Duration, opts Options) (*result.Result, error) {
	t, err := evidence.AppendTimeline(root, evidence.TimelineFile)
	if err != nil {
		return nil, err
	}
	r.to = length
	gap := r.gap()
	t.Add(evidence.Event{At: gap.To, Kind: evidence.KindGap, Gap: &gap})
	t.Add(evidence.Event{At: gap.To, Kind: evidence.KindEnd})
	judges, err := newChapterJudge(x, root, soakOptions{})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	for _, c := range r.waiting {
		judges.take(c)
	}
	if err := errors.Join(judges.end(), t.Close()); err != nil {
		return nil, err
	}
	return finished(root.Name(), opts)
}
