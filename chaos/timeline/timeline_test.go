package timeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A world is what faults happen to: it knows which are in force.
type world struct {
	mu    sync.Mutex
	force map[int]bool
	log   []string
	start time.Time
}

func newWorld() *world { return &world{force: map[int]bool{}, start: time.Now()} }

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%v ", time.Since(w.start))+fmt.Sprintf(format, args...))
}

// A stub is a fault in a world. Its heal takes a while, as a restart's does.
type stub struct {
	w       *world
	name    int
	healing time.Duration
	slow    time.Duration // inject takes this long, as a kill may
	fails   error         // inject fails
	stuck   error         // heal fails
}

func (s stub) Inject(context.Context) (Heal, error) {
	time.Sleep(s.slow)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.fails != nil {
		return nil, s.fails
	}
	s.w.force[s.name] = true
	s.w.note("inject %d", s.name)
	return func(context.Context) error {
		time.Sleep(s.healing)
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		if s.stuck != nil {
			return s.stuck
		}
		delete(s.w.force, s.name)
		s.w.note("heal %d", s.name)
		return nil
	}, nil
}

func (s stub) String() string { return fmt.Sprintf("fault %d", s.name) }

func TestTimelineInjectsAndHealsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		line := Timeline{
			{Index: 1, At: 2 * time.Second, For: 3 * time.Second, Fault: stub{w: w, name: 1}},
			{Index: 0, At: time.Second, For: time.Second, Fault: stub{w: w, name: 0}},                           // ends as 1 begins: heal first
			{Index: 2, At: 3 * time.Second, For: time.Second, Fault: stub{w: w, name: 2, healing: time.Second}}, // heals slowly: nobody waits
			{Index: 3, At: 4500 * time.Millisecond, Fault: stub{w: w, name: 3}},                                 // For 0: healed at once
		}
		if err := line.Run(context.Background(), w.start, nil, Notify{}); err != nil {
			t.Fatal(err)
		}
		want := []string{"1s inject 0", "2s heal 0", "2s inject 1", "3s inject 2", "4.5s heal 3", "4.5s inject 3", "5s heal 1", "5s heal 2"}
		slices.Sort(w.log) // what happens at one moment has no order of its own,
		slices.Sort(want)  // and neither has 4.5 s before 10 s as text
		if !slices.Equal(w.log, want) {
			t.Errorf("got  %q\nwant %q", w.log, want)
		}
	})
}

// Whatever the timeline and wherever it is cut, everything is healed.
func TestTimelineAlwaysHeals(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seconds := func(label string) time.Duration {
			return time.Duration(rapid.IntRange(0, 10).Draw(rt, label)) * time.Second
		}
		var line Timeline
		for i := range rapid.IntRange(0, 6).Draw(rt, "faults") {
			s := stub{name: i, healing: seconds("healing")}
			if rapid.Bool().Draw(rt, "fails") {
				s.fails = errors.New("cannot")
			}
			s.slow = seconds("slow")
			line = append(line, Event{Index: i, At: seconds("at"), For: seconds("for"), Fault: s})
		}
		cut := seconds("cut") + time.Millisecond
		deciding := seconds("gate")
		var left []int
		var log []string
		synctest.Test(t, func(*testing.T) {
			w := newWorld()
			for i, e := range line {
				s := e.Fault.(stub)
				s.w = w
				line[i].Fault = s
			}
			ctx, cancel := context.WithTimeout(context.Background(), cut)
			defer cancel()
			gate := func() bool { time.Sleep(deciding); return true }
			_ = line.Run(ctx, w.start, gate, Notify{})
			for name := range w.force {
				left = append(left, name)
			}
			log = w.log
		})
		if len(left) > 0 {
			rt.Errorf("still in force: %v\n%s", left, strings.Join(log, "\n"))
		}
	})
}

func TestTimelineTellsWhatItCouldNotHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		line := Timeline{
			{Index: 0, For: time.Second, Fault: stub{w: w, name: 0, stuck: errors.New("it is gone")}},
			{Index: 1, For: time.Second, Fault: stub{w: w, name: 1}},
		}
		var told error
		err := line.Run(context.Background(), w.start, nil, Notify{Healed: func(e Event, _ time.Duration, err error) {
			if e.Index == 0 {
				told = err
			}
		}})
		const want = "heal fault 0: it is gone"
		if err == nil || err.Error() != want || told == nil || told.Error() != want {
			t.Errorf("returned %v, told %v, want %q twice", err, told, want)
		}
		if w.force[1] {
			t.Error("one heal that failed kept another from being done")
		}
	})
}

func TestTimelineGateKeepsEverythingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		asked := 0
		line := Timeline{{Index: 0, At: time.Second, For: time.Second, Fault: stub{w: w, name: 0}}, {Index: 1, At: 2 * time.Second, For: time.Second, Fault: stub{w: w, name: 1}}}
		if err := line.Run(context.Background(), w.start, func() bool { asked++; return false }, Notify{}); err != nil {
			t.Fatal(err)
		}
		if len(w.log) > 0 || asked != 1 {
			t.Errorf("injected %q, gate asked %d times; want nothing, once", w.log, asked)
		}
	})
}

// What comes late lasts as long as planned all the same: a fault of a second
// that the gate held up for five would otherwise be none.
func TestTimelineLateFaultLastsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		line := Timeline{{Index: 0, At: time.Second, For: time.Second, Fault: stub{w: w, name: 0}}}
		if err := line.Run(context.Background(), w.start, func() bool { time.Sleep(5 * time.Second); return true }, Notify{}); err != nil {
			t.Fatal(err)
		}
		want := []string{"6s inject 0", "7s heal 0"} // 1 s + 5 s, and 1 s more
		if !slices.Equal(w.log, want) {
			t.Errorf("got %q, want %q", w.log, want)
		}
	})
}

// Nothing is injected any more once the run is being stopped, not even what
// the gate was still thinking about.
func TestTimelineStopsAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		line := Timeline{{Index: 0, At: time.Second, For: time.Second, Fault: stub{w: w, name: 0}}}
		if err := line.Run(ctx, w.start, func() bool { time.Sleep(5 * time.Second); return true }, Notify{}); err != nil {
			t.Fatal(err)
		}
		if len(w.log) > 0 {
			t.Errorf("got %q, want nothing", w.log)
		}
	})
}
