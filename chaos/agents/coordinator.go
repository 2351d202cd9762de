package agents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
)

// A Coordinator is the side of the run. It implements chaos.RemoteLoad, for one run. Close
// ends it, and with it the load of agents that still send some.
type Coordinator struct {
	Want    int          // so many agents it waits for
	Version string       // that agents must have too
	Join    Join         // for agents
	Say     func(string) // of what is refused and lost, for people; it must not block

	lease    leases // the zero one is that of the constants
	mostKept int    // bytes of blocks in memory; 0 is the constant
	conn     *nats.Conn
	js       jetstream.JetStream
	stream   jetstream.Stream // of what agents hand over
	subject  subjects
	watch    stopwatch
	feeds    chan jetstream.Msg
	feeding  jetstream.ConsumeContext
	spec     chaos.LoadSpec
	quit     context.CancelFunc // of beating
	beating  sync.WaitGroup

	mu     sync.Mutex
	agents []*joined // by when they joined
	closed bool      // nobody joins any more
	grown  chan struct{}
	gone   chan struct{} // has something if an agent may be lost
	halt   string
	pulses uint64
	pulsed [8]time.Duration // when the newest of them left, by their number, of its clock
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

	// Of the goroutine that runs it.
	sum     hash.Hash
	waiting []block // handed over, and not counted yet
	blocks  []block // counted, and not recorded yet
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

// Lead connects to the broker of a run, and lets agents join. own is a broker in this
// process; nil is one elsewhere.
func Lead(ctx context.Context, j Join, own *Broker, want int, version string, say func(string)) (*Coordinator, error) {
	return lead(ctx, j, own, want, version, say, leases{})
}

func lead(ctx context.Context, j Join, own *Broker, want int, version string, say func(string), lease leases) (_ *Coordinator, err error) {
	c := &Coordinator{Want: want, Version: version, Join: j, Say: say, lease: lease, subject: subjectsOf(j.Token), watch: startWatch(),
		feeds: make(chan jetstream.Msg, 64), grown: make(chan struct{}, 1), gone: make(chan struct{}, 1), quit: func() {}}
	way, more := j, []nats.Option{}
	if own != nil { // by memory, and so without TLS
		way.Broker.Scheme, way.Pin, more = "nats", "", append(more, nats.InProcessServer(own.server))
	}
	if c.conn, err = connect(way, coordinatorUser, nil, more...); err != nil {
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
	c.stream, err = c.js.CreateStream(ctx, jetstream.StreamConfig{Name: streamOf(j.Token), Subjects: []string{c.subject.feeds},
		Storage: jetstream.FileStorage, MaxBytes: mostStored / 2, MaxMsgSize: maxMessage, Duplicates: 2 * time.Minute,
		Discard: jetstream.DiscardNew})
	if err != nil {
		return nil, fmt.Errorf("make the stream of the run: %w", err)
	}
	consumer, err := c.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
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
	if _, err = c.conn.Subscribe(c.subject.beat("*"), func(m *nats.Msg) { c.hear(lastPart(m.Subject), m.Data) }); err != nil {
		return nil, err
	}
	if _, err = c.conn.Subscribe(c.subject.join, c.admit); err != nil {
		return nil, err
	}
	c.beating.Go(func() { c.beat(beating) })
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

// pulse lets agents hear of the run. A halt has left when it returns.
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
	if err != nil || !c.conn.IsConnected() { // or it would be waited for
		return
	}
	c.mu.Lock()
	c.pulsed[p.Number%uint64(len(c.pulsed))] = c.watch.now()
	c.mu.Unlock()
	_ = c.conn.Publish(c.subject.pulse, text) // agents that hear nothing stop
	if p.Halt != "" {
		_ = c.conn.FlushTimeout(time.Second)
	}
}

// beat says every second that the run goes on, and looks who is lost.
func (c *Coordinator) beat(ctx context.Context) {
	next := c.watch.now() + c.lease.beat()
	pulse, looked := next, c.watch.now()
	timer := time.NewTimer(c.lease.beat())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now, still := c.watch.now(), time.Duration(0)
		if now-next > lateAt {
			still = now - looked
		}
		if now >= pulse {
			c.pulse()
			pulse = now + c.lease.beat()
		}
		looked, next = now, min(pulse, c.lookFor(now, still))
		timer.Reset(next - c.watch.now())
	}
}

// lookFor finds agents that were not heard of for too long, and returns when the next one
// may be. While we stood still ourselves, nobody was silent.
func (c *Coordinator) lookFor(now, still time.Duration) (next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = now + c.lease.lost()
	for _, a := range c.agents {
		a.heard = min(now, a.heard+still)
		switch {
		case a.why != "" || a.ended:
		case now-a.heard > c.lease.lost():
			a.why = fmt.Sprintf("it was not heard of for %v", c.lease.lost())
			select {
			case c.gone <- struct{}{}:
			default:
			}
		default:
			next = min(next, a.heard+c.lease.lost()+time.Millisecond)
		}
	}
	return next
}

// all lists the agents.
func (c *Coordinator) all() []*joined {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.agents)
}

// hear takes note of a beat. One that answers a pulse tells the agent's clock too.
func (c *Coordinator) hear(name string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.watch.now()
	for _, a := range c.agents {
		if a.Name != name {
			continue
		}
		a.heard = now
		if b, ok := readBeat(text); ok && b.pulse <= c.pulses && b.pulse+uint64(len(c.pulsed)) > c.pulses {
			o := exchanged(c.pulsed[b.pulse%uint64(len(c.pulsed))], b.came, b.left, now)
			a.clock = a.clock.better(o, now)
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
	// Without a bound of its own: a broker sets the bound of each aside, and few would fit.
	store := jetstream.ObjectStoreConfig{Bucket: bucketOf(c.Join.Token, member.Name), Storage: jetstream.FileStorage}
	if _, err := c.js.CreateObjectStore(ctx, store); err != nil {
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
		o, told := askClock(c.conn, c.subject.clock(a.Name), c.watch)
		if !told {
			return
		}
		came := c.watch.now()
		c.mu.Lock()
		a.clock = a.clock.better(o, came)
		c.mu.Unlock()
	}
}
