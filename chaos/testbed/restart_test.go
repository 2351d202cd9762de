package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/chaos/timeline"
)

// A service takes a second to start.
type service struct {
	name string
	log  *serviceLog
	fail int // so many starts
}

type serviceLog struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func (l *serviceLog) add(what, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%v %s %s", time.Since(l.begin), what, name))
}

func (s *service) Kill() error { s.log.add("kill", s.name); return nil }

func (s *service) Restart(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.fail > 0 {
		s.fail--
		return errors.New(s.name + " does not start")
	}
	s.log.add("ready", s.name)
	return nil
}

func three(log *serviceLog) []startable {
	return []startable{&service{name: "a", log: log}, &service{name: "b", log: log}, &service{name: "c", log: log}}
}

// One after another: each is away for the downtime and its start, and the next
// is not killed before it is ready. The event is over when all are.
func TestRollingRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &serviceLog{begin: time.Now()}
		f := rolling{three(log), []string{"a", "b", "c"}, 2 * time.Second}
		var healed time.Duration
		err := timeline.Timeline{{At: time.Second, For: f.downtime, Fault: f}}.Run(t.Context(), log.begin, nil,
			timeline.Notify{Healed: func(_ timeline.Event, at time.Duration, _ error) { healed = at }})
		want := []string{"1s kill a", "4s ready a", "4s kill b", "7s ready b", "7s kill c", "10s ready c"} // 2 s down, 1 s to start
		if err != nil || !slices.Equal(log.lines, want) || healed != 10*time.Second {
			t.Errorf("%v, healed at %v, %v\nwant %v", log.lines, healed, err, want)
		}
	})
}

// Many that take their time are not cut by the bound of an ordinary heal.
func TestRollingRestartMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &serviceLog{begin: time.Now()}
		f := rolling{three(log), []string{"a", "b", "c"}, 40 * time.Second}
		err := timeline.Timeline{{For: f.downtime, Fault: f}}.Run(t.Context(), log.begin, nil, timeline.Notify{})
		if want := 123 * time.Second; err != nil || time.Since(log.begin) != want { // 3 × (40 s + 1 s)
			t.Errorf("it took %v, %v, want %v", time.Since(log.begin), err, want)
		}
	})
}

// Cut in the middle: who is down is started again, at once, and nobody else is
// killed.
func TestRollingRestartCut(t *testing.T) {
	for _, row := range []struct {
		at   time.Duration
		want []string
	}{
		{2 * time.Second, []string{"1s kill a", "3s ready a"}},                            // a is down
		{3500 * time.Millisecond, []string{"1s kill a", "4s ready a"}},                    // a is starting
		{5 * time.Second, []string{"1s kill a", "4s ready a", "4s kill b", "6s ready b"}}, // b is down
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &serviceLog{begin: time.Now()}
			f := rolling{three(log), []string{"a", "b", "c"}, 2 * time.Second}
			ctx, cancel := context.WithTimeout(t.Context(), row.at)
			defer cancel()
			err := timeline.Timeline{{At: time.Second, For: f.downtime, Fault: f}}.Run(ctx, log.begin, nil, timeline.Notify{})
			if err != nil || !slices.Equal(log.lines, row.want) {
				t.Errorf("cut at %v: %v, %v\nwant %v", row.at, log.lines, err, row.want)
			}
		})
	}
}

func TestRestartAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &serviceLog{begin: time.Now()}
		targets := three(log)
		targets[1].(*service).fail = 1
		heal, err := restart{targets, []string{"a", "b", "c"}}.Inject(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := heal(t.Context()); err == nil || err.Error() != "b does not start" {
			t.Errorf("first try: %v", err)
		}
		if err := heal(t.Context()); err != nil { // only b is left to start
			t.Errorf("second try: %v", err)
		}
		slices.Sort(log.lines)
		want := []string{"0s kill a", "0s kill b", "0s kill c", "1s ready a", "1s ready c", "2s ready b"}
		if !slices.Equal(log.lines, want) {
			t.Errorf("%v, want %v", log.lines, want)
		}
	})
}

func TestKillStaysDeadForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for forGood, want := range map[bool]int{false: 2, true: 1} { // a kill, and a start if it is not for good
			log := &serviceLog{begin: time.Now()}
			heal, err := kill{&service{name: "a", log: log}, forGood}.Inject(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := heal(t.Context()); err != nil || len(log.lines) != want {
				t.Errorf("for good %v: %v, %v", forGood, log.lines, err)
			}
		}
	})
}
