//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/timeline"
)

// A Control acts on a run while it goes on: it injects faults of the experiment's
// palette, heals them, and leaves notes. Each injection joins the timeline of the
// run, so that evidence, rulings and reports see it like any other, and is healed
// like any other: when its time is over, when it is asked for, and when the run ends,
// whatever ends it.
//
// Its methods may be called by many goroutines at once, at any time: before there is
// load, and after it, they return an error. It is of one run.
type Control struct {
	// Line is told of each event of the timeline and of its line there, from 1; 0 is one
	// that could not be written. It is called from several goroutines, and must not
	// block: the run waits for it. nil is not told.
	Line func(line int, e evidence.Event)

	// Made is told of the run directory, which is empty but for the experiment, before
	// anything is started; an error ends the run. It may keep nothing of it but what it
	// opened. nil is not told.
	Made func(dir *os.Root) error

	mu      sync.Mutex
	runner  *runner             // nil before there is load, and after it
	ctx     context.Context     // of the load
	over    bool                // there was load
	planned int                 // events of the experiment, which come before those by hand
	unready string              // why nothing may be injected yet; "" is steady
	names   []string            // of what was injected, by index behind those of the experiment
	inForce map[int]manualFault // or about to be, by index
	healers map[int]string      // who asked for the heal, by index
	wg      sync.WaitGroup      // of what is in force, and of who looks for the steady state
}

// manualFault is one injection in force.
type manualFault struct {
	event experiment.Event
	heal  context.CancelFunc
}

// NotNow says why a Control cannot do something at this moment.
type NotNow struct{ Why string }

func (n NotNow) Error() string { return n.Why }

// errEnough ends the load of a run of which somebody has seen enough: that is its
// end, and cuts nothing short.
var errEnough = errors.New("ended by hand")

// lookSteady is how long a system has before the first look at whether it is steady,
// and between the looks.
const lookSteady = 3 * time.Second

// made tells of the run directory.
func (c *Control) made(dir *os.Root) error {
	if c == nil || c.Made == nil {
		return nil
	}
	return c.Made(dir)
}

// line is what a recorder tells of its events; nil if nobody is told.
func (c *Control) line() func(int, evidence.Event) {
	if c == nil {
		return nil
	}
	return c.Line
}

// begin lets it act: the load begins, and goes on until ctx is done.
func (c *Control) begin(ctx context.Context, r *runner) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runner, c.ctx, c.planned, c.inForce, c.healers = r, ctx, len(r.x.Chaos), map[int]manualFault{}, map[int]string{}
	if !claimsSteady(r.x) {
		return
	}
	c.unready = "the steady state is not confirmed yet"
	c.wg.Go(func() { c.await(ctx, r) })
}

// end waits until all is healed that is in force: ctx is done.
func (c *Control) end() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.runner, c.over = nil, true
	c.mu.Unlock()
	c.wg.Wait()
}

// await looks for the steady state until it is there.
func (c *Control) await(ctx context.Context, r *runner) {
	for next := r.start.Add(lookSteady); timeline.SleepUntil(ctx, next); next = time.Now().Add(lookSteady) {
		why := notSteady(r.rec, r.x, r.now())
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		done := c.unready == ""
		if !done {
			c.unready = why
		}
		c.mu.Unlock()
		if done { // somebody goes on all the same
			return
		}
		if why == "" {
			r.phase("chaos", "the system is steady: faults may come")
			return
		}
	}
}

// GoOn lets faults come although the steady state is not confirmed: where the harness
// was not well for a moment, no look at the run so far will confirm it any more. What
// is claimed of the steady state is ruled on all the same. by is who decides so.
func (c *Control) GoOn(by string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch err := c.ready(); {
	case err == nil:
		return NotNow{"faults may come already"}
	case c.runner == nil || c.runner.now() == 0:
		return err
	}
	why := c.unready
	c.unready = ""
	c.runner.add(evidence.Event{Kind: evidence.KindNote, Text: "faults may come by the word of " + by + ", although: " + why})
	c.runner.phase("chaos", "faults may come by the word of "+by)
	return nil
}

// Unready says why nothing may be injected now; "" if it may.
func (c *Control) Unready() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(); err != nil {
		return err.Error()
	}
	return ""
}

// ready says why nothing may be injected; mu is held.
func (c *Control) ready() error {
	switch {
	case c.over:
		return NotNow{"the load is over"}
	case c.runner == nil || c.runner.now() == 0: // of a warm-up nothing is recorded
		return NotNow{"the load has not begun"}
	case c.unready != "":
		return NotNow{c.unready}
	}
	return nil
}

// Inject injects a fault of the palette for so long, which must be what the palette
// allows; of a restart it is not looked at. by is who injects it. It returns what the
// fault is called from here on, as soon as it is about to be injected: whether it came
// into force is an event of the timeline.
func (c *Control) Inject(choice int, length time.Duration, by string) (name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(); err != nil {
		return "", err
	}
	x := c.runner.x
	if choice < 0 || choice >= len(x.GameDay.Palette) {
		return "", NotNow{"there is no such fault in the palette"}
	}
	e, err := x.GameDay.Palette[choice].AsEvent(length)
	if err != nil {
		return "", err
	}
	index := c.planned + len(c.names)
	if index >= experiment.MaxEvents {
		return "", NotNow{fmt.Sprintf("%d faults were injected, and no more can be told apart in the records", index)}
	}
	for _, other := range c.inForce {
		if x.Clash(other.event, e) {
			return "", NotNow{fmt.Sprintf("%s is in force on the same process: heal it first", other.event.Name)}
		}
	}
	e.Name = x.GameDay.InjectionName(choice, c.names)
	e.At = c.runner.now()
	c.names = append(c.names, e.Name)
	ctx, heal := context.WithCancel(c.ctx)
	c.inForce[index] = manualFault{e, heal}
	in := x.Injection(index, e)
	c.runner.rec.add(evidence.Event{At: in.At, Kind: evidence.KindFault, Fault: index + 1, Choice: choice + 1,
		Text: e.Name, By: by, Injection: &in})
	r, fault := c.runner, c.runner.bed.ByHand(index, e)
	c.wg.Go(func() {
		defer c.gone(index)
		one := timeline.Timeline{{Index: index, At: e.At, For: e.Lasts(), Fault: fault}}
		_ = one.Run(ctx, r.start, nil, timeline.Notify{Injected: r.injected, Healed: r.healed}) // the evidence has its errors
	})
	return e.Name, nil
}

// gone forgets what is not in force any more.
func (c *Control) gone(index int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inForce[index].heal() // for its context
	delete(c.inForce, index)
}

// Heal heals an injection by its number, and returns before it is healed: that is an
// event of the timeline. by is who asks for it.
func (c *Control) Heal(index int, by string) (name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, ok := c.inForce[index]
	if !ok {
		return "", NotNow{"it is not in force any more"}
	}
	c.healers[index] = by
	in.heal()
	return in.event.Name, nil
}

// HealAll heals all that is in force by hand, and returns how many that is before
// they are healed. by is who asks for it.
func (c *Control) HealAll(by string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index, in := range c.inForce {
		c.healers[index] = by
		in.heal()
	}
	return len(c.inForce)
}

// Note puts an event into the timeline, at this moment: a note, or an alert. It says
// when that is.
func (c *Control) Note(e evidence.Event) (at time.Duration, err error) {
	c.mu.Lock()
	r := c.runner
	c.mu.Unlock()
	if r == nil {
		return 0, NotNow{"there is no load, and no clock to note it on"}
	}
	at = r.now()
	e.At = evidence.Seconds(at)
	r.rec.add(e)
	return at, nil
}

// Now is the time on the clock of the run; false if there is no load.
func (c *Control) Now() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runner == nil {
		return 0, false
	}
	return c.runner.now(), true
}

// End ends the load, and with it the run, as if it had been planned to end now. All
// is healed. Claims are ruled on as they are at the end of any run.
func (c *Control) End() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runner == nil {
		return NotNow{"there is no load to end"}
	}
	c.runner.stop(errEnough)
	return nil
}

// healer is who asked for the heal of injection index; "" if nobody did.
func (c *Control) healer(index int) string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.healers[index]
}

// nameOf is what injection index is called.
func (c *Control) nameOf(index int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[index-c.planned]
}
