package evidence

import (
	"testing"
	"time"
)

// What an agent knew of itself is in the ticks of its time, whichever came first, and
// nowhere else; what adds up does so once.
func TestAgentTicksAreFolded(t *testing.T) {
	own := func(at time.Duration) Event {
		return Event{At: Seconds(at), Kind: KindTick, Tick: &Tick{HiccupMax: Seconds(time.Millisecond), CPU: 1, Cores: 2}}
	}
	agent := Event{At: Seconds(3100 * time.Millisecond), Kind: KindAgent, Agent: "a", Tick: &Tick{
		LateP99: Seconds(20 * time.Millisecond), HiccupMax: Seconds(30 * time.Millisecond), Pressure: 0.5, Clock: Seconds(4 * time.Millisecond), CPU: 0.5, Cores: 4}}
	for name, events := range map[string][]Event{
		"after":   {own(time.Second), own(2 * time.Second), own(3 * time.Second), own(4 * time.Second), own(5 * time.Second), agent},
		"before":  {agent, own(time.Second), own(2 * time.Second), own(3 * time.Second), own(4 * time.Second), own(5 * time.Second)},
		"between": {own(time.Second), own(2 * time.Second), own(3 * time.Second), agent, own(4 * time.Second), own(5 * time.Second)},
	} {
		run := newRun()
		for _, e := range events {
			run.add(e)
		}
		for i, tick := range run.Ticks {
			in := i == 2 || i == 3 // from 2.1 s to 3.1 s
			if (tick.LateP99 > 0) != in || (tick.Pressure > 0) != in || (tick.Clock > 0) != in {
				t.Errorf("%s: the tick at %v: %+v", name, tick.At, tick)
			}
			if cores := map[bool]int{false: 2, true: 6}[i == 3]; tick.Cores != cores {
				t.Errorf("%s: the tick at %v has %d cores", name, tick.At, tick.Cores)
			}
			if want := map[bool]time.Duration{false: time.Millisecond, true: 34 * time.Millisecond}[in]; tick.Noise() != want {
				t.Errorf("%s: the tick at %v has a noise of %v, want %v", name, tick.At, tick.Noise(), want)
			}
		}
	}
}
