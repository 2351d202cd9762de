package agents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
)

// A Coordinator is the side of the run. It implements chaos.Carrier, for one run. Close
// ends it, and with it the load of agents that still carry some.
type Coordinator struct {
	Want    int          // so many agents it waits for
	Version string       // that agents must have too
	Join    Join         // for agents
	Say     func(string) // of what is refused and lost, for people; it must not block

	lease   leases // the zero one is that of the constants
	conn    *nats.Conn
	js      jetstream.JetStream
	subject subjects
	watch   stopwatch
	feeds   chan jetstream.Msg
	feeding jetstream.ConsumeContext
	carried chaos.Carried
	quit    context.CancelFunc // of beating
	beating sync.WaitGroup

	mu     sync.Mutex
	agents []*joined // by when they joined
	closed bool      // nobody joins any more
	grown  chan struct{}
	halt   string
	pulses uint64
}

// joined is an agent that has joined.
type joined struct {
	Member
	shard int
	part  load.Plan

	// Of Coordinator.mu.
	heard  time.Duration // of the coordinator's clock
	first  offset        // by which its start was said
	clock  offset        // the best that is known now
	why    string        // it is lost; "" is not
	ended  bool          // it has handed all over
	number uint64        // of its last frame

	// Of the goroutine that carries.
	sum     hash.Hash
	samples uint64
	told    bool    // that it is lost
	owed    []owing // what it does not send any more, by when it was due
}

// owing is an arrival that nobody sends.
type owing struct {
	id       uint64
	route    int
	intended time.Duration
}

// Lead connects to the broker of a run, and lets agents join.
func Lead(ctx context.Context, j Join, want int, version string, say func(string)) (*Coordinator, error) {
	return lead(ctx, j, want, version, say, leases{})
}

func lead(ctx context.Context, j Join, want int, version string, say func(string), lease leases) (_ *Coordinator, err error) {
	c := &Coordinator{Want: want, Version: version, Join: j, Say: say, lease: lease, subject: subjectsOf(j.Token), watch: startWatch(),
		feeds: make(chan jetstream.Msg, 64), grown: make(chan struct{}, 1), quit: func() {}}
	if c.conn, err = connect(j, coordinatorUser, nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.js, err = jetstream.New(c.conn); err != nil {
		return nil, err
	}
	stream, err := c.js.CreateStream(ctx, jetstream.StreamConfig{Name: streamOf(j.Token), Subjects: []string{c.subject.feeds},
		Storage: jetstream.FileStorage, MaxBytes: mostStored / 4, MaxMsgSize: maxMessage, Duplicates: 2 * time.Minute, Discard: jetstream.DiscardNew})
	if err != nil {
		return nil, fmt.Errorf("make the stream of the run: %w", err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, fmt.Errorf("read the stream of the run: %w", err)
	}
	beating, quit := context.WithCancel(context.WithoutCancel(ctx))
	c.quit = quit
	c.feeding, err = consumer.Consume(func(m jetstream.Msg) {
		select {
		case c.feeds <- m:
		case <-beating.Done():
		}
	})
	if err != nil {
		return nil, err
	}
	if _, err = c.conn.Subscribe(c.subject.beat("*"), func(m *nats.Msg) { c.hear(lastPart(m.Subject)) }); err != nil {
		return nil, err
	}
	if _, err = c.conn.Subscribe(c.subject.join, c.admit); err != nil {
		return nil, err
	}
	c.beating.Go(func() { c.beat(beating) })
	c.beating.Go(func() { c.askClocks(beating) })
	return c, c.conn.Flush()
}

// Close halts what goes on, and ends it all.
func (c *Coordinator) Close() error {
	c.Halt("the run is over")
	c.quit()
	c.beating.Wait()
	if c.feeding != nil {
		c.feeding.Stop()
	}
	var err error
	if c.js != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err = c.js.DeleteStream(ctx, streamOf(c.Join.Token))
		for _, a := range c.all() {
			err = errors.Join(err, c.js.DeleteObjectStore(ctx, bucketOf(c.Join.Token, a.Name)))
		}
	}
	c.conn.Close()
	if err != nil {
		return fmt.Errorf("remove what the broker keeps of the run: %w", err)
	}
	return nil
}

// Halt has all agents stop at once, also those that are not heard of.
func (c *Coordinator) Halt(why string) {
	c.mu.Lock()
	first := c.halt == ""
	c.halt = cmp.Or(c.halt, why)
	c.mu.Unlock()
	if first {
		c.pulse()
	}
}

// pulse lets agents hear of the run.
func (c *Coordinator) pulse() {
	c.mu.Lock()
	c.pulses++
	p := pulse{Number: c.pulses, Halt: c.halt}
	for _, a := range c.agents {
		if a.why != "" {
			p.Lost = append(p.Lost, a.Name)
		}
	}
	c.mu.Unlock()
	text, err := c.Join.Token.seal(c.subject.pulse, p)
	if err == nil {
		_ = c.conn.Publish(c.subject.pulse, text) // agents that hear nothing stop
		_ = c.conn.FlushTimeout(time.Second)
	}
}

// beat says every second that the run goes on, and looks who is lost.
func (c *Coordinator) beat(ctx context.Context) {
	beat, look := time.NewTicker(c.lease.beat()), time.NewTicker(lookEvery)
	defer beat.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			c.pulse()
		case <-look.C:
			c.lookFor()
		}
	}
}

// askClocks asks agents for their clocks, every second, beside what must not wait for an answer.
func (c *Coordinator) askClocks(ctx context.Context) {
	ticker := time.NewTicker(c.lease.beat())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, a := range c.all() {
			if c.carries(a) {
				c.askClock(a, 1)
			}
		}
	}
}

// carries reports whether an agent is there and has not ended.
func (c *Coordinator) carries(a *joined) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.why == "" && !a.ended
}

// lookFor finds agents that were not heard of for too long.
func (c *Coordinator) lookFor() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.watch.now()
	for _, a := range c.agents {
		if a.why == "" && !a.ended && now-a.heard > c.lease.lost() {
			a.why = fmt.Sprintf("it was not heard of for %v", c.lease.lost())
		}
	}
}

// all lists the agents.
func (c *Coordinator) all() []*joined {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.agents)
}

func (c *Coordinator) hear(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.agents {
		if a.Name == name {
			a.heard = c.watch.now()
		}
	}
}

// admit answers an agent that asks to join.
func (c *Coordinator) admit(m *nats.Msg) {
	var member Member
	err := c.Join.Token.open(m.Subject, m.Data, &member)
	if err == nil {
		err = c.take(member)
	}
	got := answer{OK: err == nil}
	if err != nil {
		got.Why = err.Error()
		c.Say(fmt.Sprintf("refused agent %.40q: %v", member.Name, err))
	}
	text, _ := json.Marshal(got) // of a bool and a string
	_ = m.Respond(text)          // who did not hear asks again
}

// take takes an agent in, or says why not.
func (c *Coordinator) take(member Member) error {
	if err := CheckName(member.Name); err != nil {
		return err
	}
	if member.Loops < 1 || member.Loops > 1024 {
		return fmt.Errorf("it runs %d event loops", member.Loops)
	}
	c.mu.Lock()
	for _, a := range c.agents {
		if a.Name == member.Name && a.Nonce == member.Nonce {
			c.mu.Unlock()
			return nil // it did not hear the answer
		}
	}
	err := c.mayTake(member)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucketOf(c.Join.Token, member.Name),
		MaxBytes: mostStored / 8, Storage: jetstream.FileStorage}); err != nil {
		return fmt.Errorf("make its object store: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayTake(member); err != nil {
		return err
	}
	c.agents = append(c.agents, &joined{Member: member, shard: len(c.agents), heard: c.watch.now(), sum: sha256.New()})
	select {
	case c.grown <- struct{}{}:
	default:
	}
	return nil
}

// mayTake says why an agent is not taken in; mu is held.
func (c *Coordinator) mayTake(member Member) error {
	switch {
	case c.closed || len(c.agents) == c.Want:
		return errors.New("all agents of the run are there, and one that comes later takes no part")
	case member.Version != c.Version:
		return fmt.Errorf("it is %s, and the run is %s: they must be the same", member.Version, c.Version)
	case slices.ContainsFunc(c.agents, func(a *joined) bool { return a.Name == member.Name }):
		return errors.New("there is an agent of that name: give it another --name")
	}
	return nil
}

// askClock exchanges messages with an agent, so many times, and keeps what tells its
// clock best. One that does not answer keeps what was known.
func (c *Coordinator) askClock(a *joined, times int) {
	for range times {
		left := c.watch.now()
		m, err := c.conn.Request(c.subject.clock(a.Name), nil, 500*time.Millisecond)
		came := c.watch.now()
		if err != nil || len(m.Data) != 16 {
			return
		}
		o := exchanged(left, time.Duration(binary.BigEndian.Uint64(m.Data)), time.Duration(binary.BigEndian.Uint64(m.Data[8:])), came)
		c.mu.Lock()
		a.clock = a.clock.better(o, came)
		c.mu.Unlock()
	}
}

// Shards implements chaos.Carrier.
func (c *Coordinator) Shards() int { return c.Want }

// Ready implements chaos.Carrier: it waits for the agents, gives each its part, and has
// them all begin at one time.
func (c *Coordinator) Ready(ctx context.Context, l chaos.Carried) (begin time.Time, notes []string, err error) {
	c.carried = l
	if err := c.gather(ctx); err != nil {
		return begin, nil, err
	}
	agents := c.all()
	if err := c.deal(agents, l); err != nil {
		return begin, nil, err
	}
	var slowest time.Duration
	for _, a := range agents {
		c.askClock(a, 64)
		c.mu.Lock()
		a.first = a.clock
		c.mu.Unlock()
		if !a.first.known {
			return begin, nil, fmt.Errorf("agent %s does not tell its clock", a.Name)
		}
		slowest = max(slowest, 2*a.first.within)
		if err := c.order(ctx, a, order{Plan: &plan{Nonce: a.Nonce, Experiment: l.Experiment, Load: a.part}}); err != nil {
			return begin, nil, err
		}
	}
	at := c.watch.now() + max(2*time.Second, 20*slowest)
	for _, a := range agents {
		if err := c.order(ctx, a, order{Start: &start{Nonce: a.Nonce, At: at + a.first.ahead}}); err != nil {
			return begin, nil, err
		}
		notes = append(notes, fmt.Sprintf("agent %s sends %d of %d stripes, its clock known within %v", a.Member, a.part.Loops, a.part.Stripes.Of,
			a.first.bound(at).Round(time.Microsecond)))
	}
	return c.watch.at(at), notes, nil
}

// gather waits until all agents are there.
func (c *Coordinator) gather(ctx context.Context) error {
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
			c.carried.Say(fmt.Sprintf("waiting for %d of %d agents (%s)", c.Want-n, c.Want, there))
			said = n
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.grown:
		}
	}
}

// deal gives each agent its part of a load.
func (c *Coordinator) deal(agents []*joined, l chaos.Carried) error {
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
		return fmt.Errorf("the plan has %d bytes as a message, and at most %d go to agents: make bodies or routes fewer", len(text), maxMessage-4096)
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
