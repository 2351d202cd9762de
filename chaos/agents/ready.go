package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
)

// Shards implements chaos.RemoteLoad.
func (c *Coordinator) Shards() int { return c.Want }

// Ready implements chaos.RemoteLoad: it waits for the agents, gives each its part, and has
// them all begin at one time.
func (c *Coordinator) Ready(ctx context.Context, l chaos.LoadSpec) (begin time.Time, notes []string, err error) {
	c.spec = l
	if err := c.awaitAgents(ctx); err != nil {
		return begin, nil, err
	}
	agents := c.all()
	if err := c.assign(agents, l); err != nil {
		return begin, nil, err
	}
	var asking sync.WaitGroup
	for _, a := range agents {
		asking.Go(func() { c.askClock(a, 64) })
	}
	asking.Wait()
	var slowest time.Duration
	for _, a := range agents {
		c.mu.Lock()
		a.first = a.clock
		c.mu.Unlock()
		if !a.first.known {
			return begin, nil, fmt.Errorf("agent %s does not tell its clock", a.Name)
		}
		slowest = max(slowest, 2*a.first.within)
		if err := c.order(ctx, a, order{Plan: &plan{Nonce: a.Nonce, Experiment: l.Experiment, Load: a.part, Gate: l.Gate}}); err != nil {
			return begin, nil, err
		}
	}
	at := c.watch.now() + max(2*time.Second, time.Duration(20+len(agents))*slowest)
	for _, a := range agents {
		if err := c.order(ctx, a, order{Start: &start{Nonce: a.Nonce, At: at + a.first.ahead}}); err != nil {
			return begin, nil, err
		}
		notes = append(notes, fmt.Sprintf("agent %s sends %d of %d stripes, its clock known within %v", a.Member, a.part.Loops,
			a.part.Stripes.Of, a.first.bound(at).Round(time.Microsecond)))
	}
	return c.watch.at(at), notes, nil
}

// awaitAgents waits until all agents are there.
func (c *Coordinator) awaitAgents(ctx context.Context) error {
	for said := -1; ; {
		c.mu.Lock()
		n := len(c.agents)
		c.closed = n == c.Want
		names := make([]string, n)
		for i, a := range c.agents {
			names[i] = a.Name
		}
		c.mu.Unlock()
		if n == c.Want {
			return nil
		}
		if n != said {
			there := "none is there"
			if n > 0 {
				there = strings.Join(names, ", ") + " there"
			}
			c.spec.Say(fmt.Sprintf("waiting for %d of %d agents (%s)", c.Want-n, c.Want, there))
			said = n
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.grown:
		}
	}
}

// assign gives each agent its part of a load.
func (c *Coordinator) assign(agents []*joined, l chaos.LoadSpec) error {
	of := 0
	for _, a := range agents {
		of += a.Loops
	}
	first := 0
	for _, a := range agents {
		a.part = l.Plan
		a.part.Loops, a.part.Stripes = a.Loops, load.Stripes{First: first, Of: of}
		first += a.Loops
	}
	if conns := cmp.Or(l.Plan.MaxConns, 1024); of > conns {
		return fmt.Errorf("the agents have %d event loops, and load.connections is %d: each loop needs one", of, conns)
	}
	for _, a := range agents { // what is not sent to them
		a.part.Schedule = nil
		if a.part.Data != nil {
			return errors.New("load.data is not handed to agents yet: send the load from here, or without it")
		}
		for _, r := range a.part.Routes {
			if r.Writes || r.Reads != "" {
				return fmt.Errorf("route %s writes or reads data, which agents do not tell yet: send the load from here", r.Name)
			}
			if r.TLS != nil {
				return fmt.Errorf("route %s goes over TLS, which agents do not speak yet: send the load from here", r.Name)
			}
		}
	}
	return nil
}

// orderWithin is how long an agent has to answer an order.
const orderWithin = 10 * time.Second

// order has an agent do something, and waits for its answer. One that does not answer is
// not ready, and nobody begins.
func (c *Coordinator) order(ctx context.Context, a *joined, o order) error {
	subject := c.subject.order(a.Name)
	text, err := c.Join.Token.seal(subject, o)
	if err != nil {
		return err
	}
	if len(text) > maxMessage-4096 {
		return fmt.Errorf("the plan has %d bytes as a message, and at most %d go to agents: make bodies or routes fewer", len(text),
			maxMessage-4096)
	}
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	m, err := c.conn.RequestWithContext(ctx, subject, text)
	if err != nil {
		return fmt.Errorf("agent %s is not ready: %w", a.Name, err)
	}
	var got answer
	if err := json.Unmarshal(m.Data, &got); err != nil || !got.OK {
		return fmt.Errorf("agent %s refuses: %s", a.Name, cmp.Or(got.Why, "it does not say why"))
	}
	return nil
}
