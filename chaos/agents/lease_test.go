package agents

import (
	"testing"
	"time"
)

// led is a coordinator that has sent three pulses to one agent, and heard of it just now.
func led() (*Coordinator, *joined) {
	a := &joined{Member: Member{Name: "one"}}
	c := &Coordinator{watch: startWatch(), gone: make(chan struct{}, 1), agents: []*joined{a}, pulses: 3}
	c.pulsed[3] = c.watch.now()
	return c, a
}

// A beat that answers a pulse tells the clock of who sent it, and no other does.
func TestABeatTellsTheClock(t *testing.T) {
	const ahead = 100 * time.Second
	for name, tt := range map[string]struct {
		text []byte
		told bool
	}{
		"an answer":                          {answers(3, ahead, ahead), true},
		"none":                               {nil, false},
		"to a pulse that there was not":      {answers(4, ahead, ahead), false},
		"to one of which nothing is known":   {answers(0, ahead, ahead), false},
		"that took longer than it was away":  {answers(3, ahead, ahead+time.Hour), false},
		"that is cut short":                  {answers(3, ahead, ahead)[:23], false},
		"that is longer than an answer is":   {append(answers(3, ahead, ahead), 0), false},
		"to a pulse that is nearly as large": {answers(1<<63, ahead, ahead), false},
	} {
		c, a := led()
		c.hear("one", tt.text)
		if a.clock.known != tt.told || a.heard == 0 {
			t.Errorf("%s: the clock is known %v, heard of at %v", name, a.clock.known, a.heard)
		}
		if off := a.clock.ahead - ahead; tt.told && max(off, -off) > a.clock.within+c.watch.now() {
			t.Errorf("%s: ahead by %v within %v", name, a.clock.ahead, a.clock.within)
		}
	}
	c, a := led()
	c.pulses = 11 // eight more, and the third is forgotten
	c.hear("one", answers(3, ahead, ahead))
	c.hear("two", answers(11, ahead, ahead))
	if a.clock.known {
		t.Error("an answer that is too late, or another's, tells the clock")
	}
}

// Who is not heard of for as long as a lease is lost, at a look that comes right then; but
// while we stood still nobody was silent.
func TestALeaseThatEndsIsLookedAt(t *testing.T) {
	c, a := led()
	if next := c.lookFor(2*time.Second, 0); next != LostAfter+time.Millisecond || a.why != "" {
		t.Errorf("after 2 s the next look is at %v, lost: %q", next, a.why)
	}
	if next := c.lookFor(4*time.Second, 2*time.Second); next != 2*time.Second+LostAfter+time.Millisecond || a.why != "" {
		t.Errorf("after 4 s, 2 of which we stood still, the next look is at %v, lost: %q", next, a.why)
	}
	if next := c.lookFor(2*time.Second+LostAfter+time.Millisecond, 0); next < 5*time.Second || a.why == "" || len(c.gone) != 1 {
		t.Errorf("after its lease, the next look is at %v, lost: %q, told: %d", next, a.why, len(c.gone))
	}
}

// What is written waits until who reads is told, and then comes together.
func TestFramesComeTogether(t *testing.T) {
	file, err := newSpool(t.TempDir() + "/feed")
	if err != nil {
		t.Fatal(err)
	}
	defer file.close(false) //nolint:errcheck // it is the test's
	for range 2 {
		file.write([]byte("s"))
	}
	if frames, _, err := file.next(0); frames != nil || err != nil || len(file.grown) > 0 {
		t.Errorf("before it is told there is %q, %v", frames, err)
	}
	file.tell()
	<-file.grown
	frames, after, err := file.next(0)
	if err != nil || len(frames) != 2*(frameHead+1) {
		t.Errorf("then there is %q, %v", frames, err)
	}
	if file.tell(); len(file.grown) > 0 {
		t.Error("it is told again of what it was told")
	}
	file.write([]byte("d"))
	file.end()
	if frames, _, err := file.next(after); err != nil || len(frames) != frameHead+1 {
		t.Errorf("at the end there is %q, %v", frames, err)
	}
}
