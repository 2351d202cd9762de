package http

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestRequestDelay follows the due time of a request while latencies come and
// go. Times are seconds since the exchange began.
func TestRequestDelay(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	x := exchange{open: true, since: begin}
	ten, five, three, hold := marked(0), marked(1), marked(2), marked(3)
	seconds := func(s int) toxic.Fate { return toxic.Fate{Delay: time.Duration(s) * time.Second} }
	due := func(step string, now, want int) {
		t.Helper()
		verb, until := x.requestGate(at(now))
		switch {
		case want <= now && (verb != toxic.Pass || !until.IsZero()):
			t.Errorf("%s: at %d: %v until %v, want it to pass", step, now, verb, until)
		case want > now && (verb != toxic.Stall || !until.Equal(at(want))):
			t.Errorf("%s: at %d: %v until %v, want it held until %d", step, now, verb, until.Sub(begin), want)
		}
	}

	x.add(ten, seconds(10), at(0))
	due("10", 0, 10)
	x.add(five, seconds(5), at(4)) // behind the first
	due("10+5", 4, 15)
	x.recordHits(&Relay{}, toxic.Fate.AtOnce)
	x.drop([]*active{five})
	due("5 left", 4, 5)
	due("5 left", 5, 5)
	x.add(three, seconds(3), at(8)) // the others are over since 5
	due("5, and 3 from 8 on", 8, 11)
	x.add(hold, toxic.Fate{Verb: toxic.Stall}, at(9))
	if verb, until := x.requestGate(at(20)); verb != toxic.Stall || !until.IsZero() {
		t.Errorf("held: %v until %v, want no end", verb, until)
	}
	x.recordHits(&Relay{}, toxic.Fate.AtOnce)
	x.drop([]*active{five, three})
	due("healed", 9, 11)
	due("healed", 11, 11)
	if x.Faults != 0b1111 {
		t.Errorf("faults %b, want all four, healed or not", x.Faults)
	}
}

// marked is a toxic with this index.
func marked(index int) *active {
	mark, err := new(link.Counters).Mark(index)
	if err != nil {
		panic(err)
	}
	return &active{mark: mark}
}

// TestResponseDelay counts from when the response is there.
func TestResponseDelay(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	ten := &active{}
	x := exchange{open: true, passed: true}
	x.add(ten, toxic.Fate{Delay: 10 * time.Second}, at(0))
	if verb, _ := x.requestGate(at(1)); verb != toxic.Pass {
		t.Errorf("the rest of the request: %v, want it to pass", verb)
	}
	if verb, _ := x.responseGate(at(2), false); verb != toxic.Pass {
		t.Errorf("an interim response: %v, want it to pass", verb)
	}
	for _, now := range []int{3, 7} { // 3 + 10
		if verb, until := x.responseGate(at(now), true); verb != toxic.Stall || !until.Equal(at(13)) {
			t.Errorf("at %d: %v until %v, want it held until 13", now, verb, until.Sub(begin))
		}
	}
	if verb, _ := x.responseGate(at(13), true); verb != toxic.Pass {
		t.Errorf("at 13: %v, want it to pass", verb)
	}
	x.drop(nil)
	if verb, _ := x.responseGate(at(8), true); verb != toxic.Pass {
		t.Errorf("healed: %v, want it to pass", verb)
	}
}

// A fault that is healed before its answer is begun has not hit.
func TestHealedBeforeItAnswers(t *testing.T) {
	x := exchange{open: true}
	x.add(marked(3), toxic.Fate{Verb: toxic.Respond, Status: 503}, time.Unix(1000, 0))
	x.recordHits(&Relay{}, toxic.Fate.AtOnce)
	x.drop(nil)
	if verb, _ := x.requestGate(time.Unix(1000, 0)); verb != toxic.Pass || x.Faults != 0 {
		t.Errorf("%v, and faults %b: want it to pass, hit by none", verb, x.Faults)
	}
}

// TestWhatComesTooLate for an exchange whose response is on its way.
func TestWhatComesTooLate(t *testing.T) {
	for _, tt := range []struct {
		fate toxic.Fate
		hit  bool
		want toxic.Verb // of the rest of the response
	}{
		{toxic.Fate{Delay: time.Hour}, false, toxic.Pass},
		{toxic.Fate{Verb: toxic.Respond, Status: 503}, false, toxic.Pass},
		{toxic.Fate{Verb: toxic.Break}, true, toxic.Break},
		{toxic.Fate{Verb: toxic.Stall}, true, toxic.Stall},
		{toxic.Fate{Late: time.Hour}, false, toxic.Pass},
		{toxic.Fate{Verb: toxic.Withhold}, false, toxic.Pass},
		{toxic.Fate{Acts: toxic.Drop | toxic.DropBreak}, false, toxic.Pass},
	} {
		x := exchange{open: true, passed: true, answering: true}
		x.add(marked(9), tt.fate, time.Unix(1000, 0))
		x.recordHits(&Relay{}, toxic.Fate.AtOnce)
		if (x.Faults == 1<<9) != tt.hit || x.fate != (toxic.Fate{}) && !tt.hit {
			t.Errorf("%+v: faults %b, left is %+v; want hit: %v", tt.fate, x.Faults, x.fate, tt.hit)
		}
		if verb, _ := x.responseGate(time.Unix(1000, 0), true); verb != tt.want {
			t.Errorf("%+v: %v, want %v", tt.fate, verb, tt.want)
		}
	}
}

// TestOverflow: what goes past a toxic's bound is let go and not counted as
// touched; what it has hold of is let go when the exchange ends or it heals.
func TestOverflow(t *testing.T) {
	now := time.Unix(1000, 0)
	a := &active{selects: toxic.Select{MaxActive: 1}}
	first, second, third, free := exchange{open: true}, exchange{open: true}, exchange{open: true}, exchange{open: true}
	if first.add(a, toxic.Fate{Verb: toxic.Stall}, now) {
		t.Error("the first is past the bound")
	}
	if !second.add(a, toxic.Fate{Verb: toxic.Stall}, now) || second.fate != (toxic.Fate{}) {
		t.Errorf("the second is touched: %+v", second.fate)
	}
	if free.add(a, toxic.Fate{}, now) {
		t.Error("what it does not take is past its bound")
	}
	first.drop(nil)
	first.release() // it ends: nothing is let go twice
	second.release()
	free.release()
	if third.add(a, toxic.Fate{Verb: toxic.Stall}, now); third.fate.Verb != toxic.Stall || a.holding.Load() != 1 {
		t.Errorf("the third is not touched: %+v, %d held", third.fate, a.holding.Load())
	}
	third.release()
	if n := a.holding.Load(); n != 0 {
		t.Errorf("%d held, want none", n)
	}
}
