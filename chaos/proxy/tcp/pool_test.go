package tcp

import (
	"slices"
	"testing"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/poll"
)

// running is the loops that there are.
func running() []*loop {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	return slices.Clone(loops.loops)
}

// Relays share as many loops as there are cores, evenly, and the last one takes its
// loop with it.
func TestRelaysShareLoops(t *testing.T) {
	const relays = 100
	before, cores := len(running()), poll.Cores()
	var all []*Relay
	for range relays {
		r, err := Listen(Config{Config: wiretest.ConfigOf("127.0.0.1:1")})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	of := map[*loop]int{}
	for _, r := range all {
		of[r.loop]++
	}
	if len(of) > cores {
		t.Errorf("%d relays have %d loops, on %d cores", relays, len(of), cores)
	}
	if before == 0 {
		for _, n := range of {
			if n < relays/cores || n > relays/cores+1 {
				t.Errorf("of %d relays on %d loops, %d are on one", relays, len(of), n)
				break
			}
		}
	}
	for _, r := range all {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := len(running()); n != before {
		t.Errorf("%d loops are left, %d were there before", n, before)
	}
}

// What is done to a relay is not done to its neighbours: two toxics of the same index,
// and closing, while a connection beside passes messages by its loop.
func TestNeighboursAreNotDisturbed(t *testing.T) {
	l, c, up := linked(t)
	pass := func() {
		t.Helper()
		c.Send("hi")
		up.Expect("hi")
		up.Send("ho")
		c.Expect("ho")
	}
	pass()
	var all []*wiretest.Link
	var deps []*wiretest.Dependency
	same := 0
	for range 2 * poll.Cores() {
		dep := wiretest.NewDependency(t)
		r, err := Listen(Config{Config: wiretest.ConfigOf(dep.Address())})
		if err != nil {
			t.Fatal(err)
		}
		r.Serve()
		if r.loop == l.relay.loop {
			same++
		}
		all, deps = append(all, &wiretest.Link{T: t, Relay: r}), append(deps, dep)
	}
	if same == 0 {
		t.Error("none is on its loop")
	}
	for i, beside := range all {
		other := beside.Dial()
		deps[i].Take()
		if _, err := beside.Relay.Add(0, toxic.ResetPeer{Select: toxic.All}, toxic.Both); err != nil {
			t.Fatal(err)
		}
		other.WasReset()
		pass()
		if err := beside.Close(); err != nil {
			t.Fatal(err)
		}
		pass()
	}
	if n := l.relay.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	up.Close()
	c.Close()
	l.Next()
}
