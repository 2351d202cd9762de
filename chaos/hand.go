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

// A Hand takes part in a run while it goes on: it injects faults of the experiment's
// palette, heals them, and leaves notes. Each injection joins the timeline of the
// run, so that evidence, rulings and reports see it like any other, and is healed
// like any other: when its time is over, when it is asked for, and when the run ends,
// whatever ends it.
//
// Its methods may be called by many goroutines at once, at any time: before there is
// load, and after it, they return an error. It is of one run.
type Hand struct {
	// Line is told of each event of the timeline and of its line there, from 1; 0 is one
	// that could not be written. It is called from several goroutines, and must not
	// block: the run waits for it. nil is not told.
	Line func(line int, e evidence.Event)

	// Made is told of the run directory, which is empty but for the experiment, before
	// anything is started; an error ends the run. It may keep nothing of it but what it
	// opened. nil is not told.
	Made func(dir *os.Root) error

	mu      sync.Mutex
	d       *drive          // nil before there is load, and after it
	ctx     context.Context // of the load
	over    bool            // there was load
	planned int             // events of the experiment, which come before those by hand
	unready string          // why nothing may be injected yet; "" is steady
	names   []string        // of what was injected, by index behind those of the experiment
	inForce map[int]held    // or about to be, by index
	healers map[int]string  // who asked for the heal, by index
	wg      sync.WaitGroup  // of what is in force, and of who looks for the steady state
}

// held is one injection in force.
type held struct {
	event experiment.Event
	heal  context.CancelFunc
}

// NotNow says why a Hand cannot do something at this moment.
type NotNow struct{ Why string }

func (n NotNow) Error() string { return n.Why }

// errEnough ends the load of a run of which somebody has seen enough: that is its
// end, and cuts nothing short.
var errEnough = errors.New("ended by hand")

// lookSteady is how long a system has before the first look at whether it is steady,
// and between the looks.
const lookSteady = 3 * time.Second

// made tells of the run directory.
func (h *Hand) made(dir *os.Root) error {
	if h == nil || h.Made == nil {
		return nil
	}
	return h.Made(dir)
}

// line is what a recorder tells of its events; nil if nobody is told.
func (h *Hand) line() func(int, evidence.Event) {
	if h == nil {
		return nil
	}
	return h.Line
}

// begin lets the hand act: the load begins, and goes on until ctx is done.
func (h *Hand) begin(ctx context.Context, d *drive) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.d, h.ctx, h.planned, h.inForce, h.healers = d, ctx, len(d.x.Chaos), map[int]held{}, map[int]string{}
	if !claimsSteady(d.x) {
		return
	}
	h.unready = "the steady state is not confirmed yet"
	h.wg.Go(func() { h.await(ctx, d) })
}

// end waits until all is healed that is in force: ctx is done.
func (h *Hand) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.d, h.over = nil, true
	h.mu.Unlock()
	h.wg.Wait()
}

// await looks for the steady state until it is there.
func (h *Hand) await(ctx context.Context, d *drive) {
	for next := d.start.Add(lookSteady); timeline.SleepUntil(ctx, next); next = time.Now().Add(lookSteady) {
		why := notSteady(d.rec, d.x, d.now())
		if ctx.Err() != nil {
			return
		}
		h.mu.Lock()
		done := h.unready == ""
		if !done {
			h.unready = why
		}
		h.mu.Unlock()
		if done { // somebody goes on all the same
			return
		}
		if why == "" {
			d.phase("chaos", "the system is steady: faults may come")
			return
		}
	}
}

// GoOn lets faults come although the steady state is not confirmed: where the harness
// was not well for a moment, no look at the run so far will confirm it any more. What
// is claimed of the steady state is ruled on all the same. by is who decides so.
func (h *Hand) GoOn(by string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch err := h.ready(); {
	case err == nil:
		return NotNow{"faults may come already"}
	case h.d == nil || h.d.now() == 0:
		return err
	}
	why := h.unready
	h.unready = ""
	h.d.add(evidence.Event{Kind: evidence.KindNote, Text: "faults may come by the word of " + by + ", although: " + why})
	h.d.phase("chaos", "faults may come by the word of "+by)
	return nil
}

// Unready says why nothing may be injected now; "" if it may.
func (h *Hand) Unready() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.ready(); err != nil {
		return err.Error()
	}
	return ""
}

// ready says why nothing may be injected; mu is held.
func (h *Hand) ready() error {
	switch {
	case h.over:
		return NotNow{"the load is over"}
	case h.d == nil || h.d.now() == 0: // of a warm-up nothing is recorded
		return NotNow{"the load has not begun"}
	case h.unready != "":
		return NotNow{h.unready}
	}
	return nil
}

// Inject injects a fault of the palette for so long, which must be what the palette
// allows; of a restart it is not looked at. by is who injects it. It returns what the
// fault is called from here on, as soon as it is about to be injected: whether it came
// into force is an event of the timeline.
func (h *Hand) Inject(choice int, length time.Duration, by string) (name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.ready(); err != nil {
		return "", err
	}
	x := h.d.x
	if choice < 0 || choice >= len(x.GameDay.Palette) {
		return "", NotNow{"there is no such fault in the palette"}
	}
	e, err := x.GameDay.Palette[choice].Taken(length)
	if err != nil {
		return "", err
	}
	index := h.planned + len(h.names)
	if index >= experiment.MaxEvents {
		return "", NotNow{fmt.Sprintf("%d faults were injected, and no more can be told apart in the records", index)}
	}
	for _, other := range h.inForce {
		if x.Clash(other.event, e) {
			return "", NotNow{fmt.Sprintf("%s is in force on the same process: heal it first", other.event.Name)}
		}
	}
	e.Name = x.GameDay.Called(choice, h.names)
	e.At = h.d.now()
	h.names = append(h.names, e.Name)
	ctx, heal := context.WithCancel(h.ctx)
	h.inForce[index] = held{e, heal}
	in := x.Injection(index, e)
	h.d.rec.add(evidence.Event{At: in.At, Kind: evidence.KindFault, Fault: index + 1, Choice: choice + 1, Text: e.Name, By: by, Injection: &in})
	d, fault := h.d, h.d.bed.ByHand(index, e)
	h.wg.Go(func() {
		defer h.gone(index)
		one := timeline.Timeline{{Index: index, At: e.At, For: e.Lasts(), Fault: fault}}
		_ = one.Run(ctx, d.start, nil, timeline.Notify{Injected: d.injected, Healed: d.healed}) // the evidence has its errors
	})
	return e.Name, nil
}

// gone forgets what is not in force any more.
func (h *Hand) gone(index int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inForce[index].heal() // for its context
	delete(h.inForce, index)
}

// Heal heals an injection by its number, and returns before it is healed: that is an
// event of the timeline. by is who asks for it.
func (h *Hand) Heal(index int, by string) (name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in, ok := h.inForce[index]
	if !ok {
		return "", NotNow{"it is not in force any more"}
	}
	h.healers[index] = by
	in.heal()
	return in.event.Name, nil
}

// HealAll heals all that is in force by hand, and returns how many that is before
// they are healed. by is who asks for it.
func (h *Hand) HealAll(by string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for index, in := range h.inForce {
		h.healers[index] = by
		in.heal()
	}
	return len(h.inForce)
}

// Note puts an event into the timeline, at this moment: a note, or an alert. It says
// when that is.
func (h *Hand) Note(e evidence.Event) (at time.Duration, err error) {
	h.mu.Lock()
	d := h.d
	h.mu.Unlock()
	if d == nil {
		return 0, NotNow{"there is no load, and no clock to note it on"}
	}
	at = d.now()
	e.At = evidence.Seconds(at)
	d.rec.add(e)
	return at, nil
}

// Now is the time on the clock of the run; false if there is no load.
func (h *Hand) Now() (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.d == nil {
		return 0, false
	}
	return h.d.now(), true
}

// End ends the load, and with it the run, as if it had been planned to end now. All
// is healed. Claims are ruled on as they are at the end of any run.
func (h *Hand) End() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.d == nil {
		return NotNow{"there is no load to end"}
	}
	h.d.stop(errEnough)
	return nil
}

// healer is who asked for the heal of injection index; "" if nobody did.
func (h *Hand) healer(index int) string {
	if h == nil {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.healers[index]
}

// nameOf is what injection index is called.
func (h *Hand) nameOf(index int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.names[index-h.planned]
}
