package reference

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// consumer takes events from the broker that its links lead to, each to one of its nodes, and applies each by one
// call of the link ledger: POST /event/KEY with the event's id. It answers
//
//	GET /ledger      what its ledger answers, once the broker has nothing left for it; until then 503
//	GET /deliveries  {"count": N, "ids": [..], "keys": [..]}: what the broker delivered, as it came, of earlier processes too
//	/healthz
//
//	broker ─▶ order ─▶ lane of the key ─▶ dedupe ─▶ ledger
//	   ▲                                              │
//	   └──────────────── acknowledged ◀───────────────┘
//
// The broker delivers an event again until it is acknowledged, and it numbers them. A sound consumer
// passes events on in the order of their numbers, applies those of one key one after another, tries what
// fails again in place, and acknowledges what was applied, in order. What it does not know to have been
// applied it asks the ledger for, before it tries again. So each event takes effect once and in turn,
// whichever process dies, and whichever call has no answer, as long as a call that was given up does not
// take effect later than the ledger is asked.
type consumer struct {
	settings *consumerSettings
	life     context.Context
	broker   feed
	ledger   *client
	seen     *applied // nil where nothing is deduplicated
	limiter  *rate.Limiter
	lanes    []chan event
	working  sync.WaitGroup

	noting sync.Mutex
	came   *journal     // a line of ID and KEY for each delivery
	lines  []string     // of came
	from   subscription // nil until there is one

	turn     sync.Mutex // guards sequence, and is held while events go to their lanes
	sequence *sequence  // nil passes events on as they come

	acking sync.Mutex
	acks   *acknowledgements // nil acknowledges each event by itself
}

// feed is a broker as its consumer has it.
type feed interface {
	subscribe(ctx context.Context, s *consumerSettings) (subscription, error)
	close()
}

// subscription is one to what a broker has for its consumer.
type subscription interface {
	next() uint64 // number of the first event that was not acknowledged as it was made
	// consume calls take with each event that is delivered, one after another, until stop, and once more if it is
	// about to be called then.
	consume(prefetch int, take func(event)) (stop func(), err error)
	first(ctx context.Context) (uint64, error) // number of the first event that may still come
	left(ctx context.Context) (int, error)     // events that were not acknowledged
}

// consumerSettings configure a consumer.
type consumerSettings struct {
	driver   string
	order    string
	dedupe   string
	lanes    int
	prefetch int
	ackWait  time.Duration
	capacity int
	attempts int
	timeout  time.Duration
	flaw     string
}

var consumerKeys = []key[consumerSettings]{
	oneOf("driver", "jetstream", "what its links beside ledger lead to: a NATS server with JetStream, or RabbitMQ, "+
		"which delivers in order and, once the connection is lost, delivers again what was not acknowledged",
		[]string{"jetstream", "rabbitmq"}, func(s *consumerSettings) *string { return &s.driver }),
	oneOf("order", "buffer", "buffer applies events in the order in which the broker acknowledged them, and holds what comes too early; "+
		"none applies them as they come, and leaves what fails to be delivered again", []string{"buffer", "none"},
		func(s *consumerSettings) *string { return &s.order }),
	oneOf("dedupe", "table", "how it knows an event that comes again: table is a file, which outlives the process, memory does not",
		[]string{"table", "memory", "none"}, func(s *consumerSettings) *string { return &s.dedupe }),
	whole("lanes", "8", "", "events that are applied at a time, of different keys", 1, 1000,
		func(s *consumerSettings) *int { return &s.lanes }),
	whole("prefetch", "5000", "", "events that may be delivered and not acknowledged", 1, 1_000_000,
		func(s *consumerSettings) *int { return &s.prefetch }),
	wait("ack_wait", "1s", "", "after which an event that was not acknowledged is delivered again; with rabbitmq, one that failed",
		10*time.Millisecond, never,
		func(s *consumerSettings) *time.Duration { return &s.ackWait }),
	whole("capacity", "0", "", "events that it applies in a second at most; 0 is as many as it can", 0, 1_000_000,
		func(s *consumerSettings) *int { return &s.capacity }),
	whole("attempts", "0", "",
		"refusals (4xx) after which it parks an event, with PUT /parked/ID of the ledger, and goes on; 0 never does", 0, 1_000_000,
		func(s *consumerSettings) *int { return &s.attempts }),
	wait("timeout", "1s", "", "bound of one call", time.Millisecond, never,
		func(s *consumerSettings) *time.Duration { return &s.timeout }),
	flawOf("breaks it in one way", func(s *consumerSettings) *string { return &s.flaw }),
}

// consumerFlaws are those of a consumer.
var consumerFlaws = []Flaw{
	{"acks-first", "ack", "drains", "acknowledges an event as it is delivered, before it is applied"},
	{"forgets-after-restart", "dedupe", "effects", "keeps its table in memory"},
	{"applies-twice", "dedupe", "effects", "has no table: what is delivered again is applied again"},
	{"applies-gap", "order", "ordered", "does not wait for an earlier event that is missing"},
	{"never-acks", "ack", "drains", "acknowledges nothing"},
	{"no-headroom", "capacity", "drains", "has 35% of its capacity"},
}

func parseConsumer(with map[string]string) (*consumerSettings, error) {
	s, err := parseFlawed("consumer", consumerKeys, consumerFlaws, with)
	if err != nil {
		return nil, err
	}
	var errs []error
	refuse := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("consumer: "+text))
		}
	}
	refuse(s.flaw == "no-headroom" && s.capacity == 0, "flaw no-headroom: it has no limit: set capacity")
	refuse(s.flaw == "applies-gap" && s.order == "none", "flaw applies-gap: it waits for none: set order to buffer")
	refuse(s.flaw == "forgets-after-restart" && s.dedupe != "table", "flaw forgets-after-restart: there is no table: set dedupe to table")
	refuse(s.flaw == "applies-twice" && s.dedupe == "none", "flaw applies-twice: there is no dedupe: set it to table or memory")
	refuse(s.flaw == "applies-gap" && s.driver == "rabbitmq", "flaw applies-gap: RabbitMQ leaves none")
	refuse(s.attempts > 0 && s.order == "none" && s.driver == "rabbitmq", "attempts: RabbitMQ does not count them: set order to buffer")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	switch s.flaw {
	case "forgets-after-restart":
		s.dedupe = "memory"
	case "applies-twice":
		s.dedupe = "none"
	case "no-headroom":
		s.capacity = max(1, s.capacity*35/100)
	}
	return s, nil
}

// consumerService is the reference service consumer.
func consumerService() service {
	it := configured(Description{
		Name: "consumer", About: "takes events from a broker and applies each to a ledger",
		Settings: describe(consumerKeys), Flaws: slices.Clone(consumerFlaws),
	}, parseConsumer, nil, func(life context.Context, s *consumerSettings, c Config) (http.Handler, error) {
		return newConsumer(life, s, c.Deps, c.Dir)
	})
	it.keeps = true
	return it
}

func newConsumer(life context.Context, s *consumerSettings, deps map[string]string, dir string) (*consumer, error) {
	addrs, err := nodes(deps, "ledger")
	if err != nil {
		return nil, err
	}
	if _, there := deps["ledger"]; !there || len(addrs) == 0 || len(addrs) > 1 && s.driver != "jetstream" {
		return nil, errors.New("a consumer needs a link by the name of ledger and another to its broker; " +
			"with driver jetstream there may be one to each node")
	}
	c := &consumer{settings: s, life: life, limiter: rate.NewLimiter(rate.Inf, 1)}
	if s.capacity > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(s.capacity), max(1, s.capacity/100))
	}
	if c.ledger, err = newClient("ledger", deps, s.timeout); err != nil {
		return nil, err
	}
	if err := c.open(dir); err != nil {
		return nil, err
	}
	if s.driver == "rabbitmq" {
		c.broker = &rabbitFeed{addr: addrs[0]}
	} else if c.broker, err = dialJetStream(addrs, true); err != nil {
		c.seen.close()
		c.came.close()
		return nil, err
	}
	for range s.lanes {
		lane := make(chan event, s.prefetch)
		c.lanes = append(c.lanes, lane)
		c.working.Go(func() { c.work(lane) })
	}
	c.working.Go(c.consume)
	return c, nil
}

// open opens what it keeps in its folder.
func (c *consumer) open(dir string) (err error) {
	if c.came, c.lines, err = openJournal(dir, "deliveries"); err != nil {
		return err
	}
	switch c.settings.dedupe {
	case "table":
		c.seen, err = openApplied(dir)
	case "memory":
		c.seen, err = openApplied("")
	}
	if err != nil {
		c.came.close()
	}
	return err
}

// close ends it, once its life is over.
func (c *consumer) close() {
	c.working.Wait()
	c.broker.close()
	c.ledger.close()
	c.seen.close()
	c.came.close()
}

// note remembers a delivery, and reports whether it could.
func (c *consumer) note(e event) bool {
	line := e.id + " " + e.key
	if c.came.write(line) != nil {
		return false
	}
	c.noting.Lock()
	defer c.noting.Unlock()
	c.lines = append(c.lines, line)
	return true
}

// consume subscribes, as soon as it can, and looks after events that are missing.
func (c *consumer) consume() {
	var s subscription
	for {
		ctx, cancel := context.WithTimeout(c.life, 2*time.Second)
		var err error
		s, err = c.broker.subscribe(ctx, c.settings)
		cancel()
		if err == nil {
			break
		}
		if !rest(c.life, retryPause) {
			return
		}
	}
	c.noting.Lock()
	c.from = s
	c.noting.Unlock()
	if c.settings.order == "buffer" {
		c.acks = newAcknowledgements(s.next())
		if c.settings.flaw != "applies-gap" {
			c.sequence = newSequence(s.next())
		}
	}
	stop, err := s.consume(c.settings.prefetch, c.take)
	for err != nil {
		if !rest(c.life, retryPause) {
			return
		}
		stop, err = s.consume(c.settings.prefetch, c.take)
	}
	defer stop()
	for rest(c.life, c.settings.ackWait) {
		c.giveUpMissing(s)
	}
}

// giveUpMissing goes on without events that will not come, because the broker has dropped them, or has had
// an acknowledgement of them from an earlier process.
func (c *consumer) giveUpMissing(s subscription) {
	if c.acks == nil {
		return
	}
	c.turn.Lock()
	waits := c.sequence == nil // which does not know
	if c.sequence != nil {
		var since time.Time
		since, waits = c.sequence.missing()
		waits = waits && time.Since(since) > c.settings.ackWait
	}
	c.turn.Unlock()
	if !waits {
		return
	}
	ctx, cancel := context.WithTimeout(c.life, time.Second)
	defer cancel()
	first, err := s.first(ctx)
	if err != nil {
		return // it is asked again
	}
	c.acking.Lock()
	c.acks.skip(first)
	c.acking.Unlock()
	if c.sequence != nil {
		c.turn.Lock()
		defer c.turn.Unlock()
		c.pass(c.sequence.skip(first, time.Now())...)
	}
}

// take is given each event that is delivered.
func (c *consumer) take(e event) {
	if !c.note(e) {
		return // the disk is full: it is delivered again
	}
	if c.settings.flaw == "acks-first" {
		c.acknowledge(e)
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.sequence == nil {
		c.pass(e)
		return
	}
	c.pass(c.sequence.take(e, time.Now())...)
}

// pass gives events to the lanes of their keys. turn is locked.
func (c *consumer) pass(events ...event) {
	for _, e := range events {
		hash := fnv.New32a()
		_, _ = io.WriteString(hash, e.key)
		select {
		case c.lanes[hash.Sum32()%uint32(len(c.lanes))] <- e:
		case <-c.life.Done():
			return
		}
	}
}

func (c *consumer) work(lane chan event) {
	for {
		select {
		case e := <-lane:
			switch done := c.handle(e); {
			case c.settings.flaw == "acks-first": // it is
			case done:
				c.acknowledge(e)
			case e.again != nil:
				e.again()
			}
		case <-c.life.Done():
			return
		}
	}
}

func (c *consumer) acknowledge(e event) {
	if c.settings.flaw == "never-acks" {
		return
	}
	if c.acks == nil {
		e.ack()
		return
	}
	c.acking.Lock()
	defer c.acking.Unlock()
	c.acks.finish(e.seq, e.ack)
}

// handle applies an event unless it was applied before, and reports whether it is done with.
func (c *consumer) handle(e event) bool {
	if c.seen == nil {
		return c.apply(e, fresh) == done
	}
	known, err := c.seen.begin(e.id)
	if err != nil || known == underway || known == done {
		return known == done // an event that could not be noted is left to be delivered again
	}
	now := c.apply(e, known)
	return c.seen.end(e.id, now) == nil && now == done
}

// apply has an event applied, or parked, and returns what is known of it then: done, or what is left to the
// next delivery.
func (c *consumer) apply(e event, known state) state {
	attempt := 1
	if c.settings.order == "none" {
		attempt = e.delivered
	}
	for ; ; attempt++ {
		if known == doubtful && c.seen != nil {
			var b bookings
			if c.ledger.ask(c.life, "/event/"+e.id, &b) == nil {
				if b.Times > 0 {
					return done
				}
				known = fresh
			}
		}
		if known == fresh || c.seen == nil {
			if c.limiter.Wait(c.life) != nil {
				return known
			}
			switch c.ledger.do(c.life, http.MethodPost, "/event/"+e.key, e.id, e.trace) {
			case tookEffect:
				return done
			case inDoubt:
				known = doubtful
			case refusedIt:
				if c.settings.attempts > 0 && attempt >= c.settings.attempts && c.park(e) {
					return done
				}
			}
		}
		if c.settings.order == "none" || !rest(c.life, retryPause) {
			return known
		}
	}
}

// park notes that an event is given up.
func (c *consumer) park(e event) bool {
	return c.ledger.do(c.life, http.MethodPut, "/parked/"+e.id, "", "") == tookEffect
}
