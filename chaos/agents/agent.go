package agents

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/load"
)

// An Agent sends a part of one run's load.
type Agent struct {
	Join   Join
	Member Member       // its Nonce is drawn
	Allow  allow.List   // where it may send, whatever a plan says
	Dir    string       // where it keeps what it hands over, until the end
	Say    func(string) // of what happens, for people; it must not block

	lease leases // the zero one is that of the constants

	conn    *nats.Conn
	watch   stopwatch
	subject subjects
	orders  chan *nats.Msg
	joined  atomic.Bool  // the run has taken it in: before, a beat would be of another one of its name
	quiet   *time.Timer  // ends when no pulse has come to be answered
	heard   atomic.Int64 // when the coordinator was heard of last, of the watch
	until   atomic.Int64 // until when its load goes on if nothing more is heard, of the load's clock
	number  atomic.Uint64

	leasing sync.Mutex    // of setting heard and until together
	begins  time.Duration // when its load does, of the watch
}

// Refused is why an agent does not do what it is asked.
type Refused struct{ Why string }

func (r Refused) Error() string { return r.Why }

// errUnheard ends the load of an agent that is alone.
var errUnheard = errors.New("nothing was heard of the run for too long, so that its load was stopped")

// Run joins the run, sends its part, hands over what it saw, and returns: nil if all
// of it was handed over, though the load may have been ended early. No load is left when it returns. ctx ends it early.
func (a *Agent) Run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.watch, a.subject = startWatch(), subjectsOf(a.Join.Token)
	a.Member.Nonce, a.Member.Allow = hex.EncodeToString([]byte(NewToken()))[:32], a.Allow
	a.orders, a.quiet = make(chan *nats.Msg, 16), time.NewTimer(0)
	told := func(err error) {
		if err != nil {
			a.Say("the broker is away: " + err.Error())
		}
	}
	if a.conn, err = a.dial(ctx, told); err != nil {
		return err
	}
	defer a.conn.Close()
	if err := a.listen(stop); err != nil {
		return err
	}
	if err := a.enter(ctx); err != nil {
		return err
	}
	a.heard.Store(int64(a.watch.now()))
	a.joined.Store(true)
	var beating sync.WaitGroup
	beating.Go(func() { a.beat(ctx) })
	beating.Go(func() { a.look(ctx, stop) })
	defer func() { stop(nil); beating.Wait() }()
	return a.serve(ctx)
}

// dial connects. A broker that is not there yet is waited for; one that does not let it in
// is not.
func (a *Agent) dial(ctx context.Context, told func(error)) (*nats.Conn, error) {
	for said := false; ; said = true {
		conn, err := connect(a.Join, a.Member.Name, told)
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return nil, Refused{"the broker does not let it in: the token is not that of the run that listens there"}
		}
		if !said {
			a.Say(fmt.Sprintf("waiting for the run: %v", err))
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// listen subscribes to what the coordinator says.
func (a *Agent) listen(stop context.CancelCauseFunc) error {
	_, err := a.conn.ChanSubscribe(a.subject.order(a.Member.Name), a.orders)
	if err != nil {
		return err
	}
	if err := tellClock(a.conn, a.subject.clock(a.Member.Name), a.watch); err != nil {
		return err
	}
	_, err = a.conn.Subscribe(a.subject.pulse, func(m *nats.Msg) {
		came := a.watch.now()
		var p pulse
		if err := a.Join.Token.open(m.Subject, m.Data, &p); err != nil {
			a.Say("refused a pulse: " + err.Error())
			return
		}
		if p.Number <= a.number.Load() {
			return // it has been here, or came late
		}
		a.number.Store(p.Number)
		a.hear()
		if p.Halt != "" {
			stop(errors.New("halted: " + p.Halt))
		}
		for _, name := range p.Lost {
			if name == a.Member.Name {
				stop(errors.New("the run has lost it, and goes on without it"))
			}
		}
		if a.joined.Load() {
			a.tell(answers(p.Number, came, a.watch.now()))
			a.quiet.Reset(a.lease.beat() * 5 / 4) // the next one may be a little late
		}
	})
	if err != nil {
		return err
	}
	return a.conn.Flush()
}

// hear takes note that the run goes on: so may its load, for as long as it may be alone.
// After it was alone for that long it is over, whatever is heard then: of one that was
// frozen, what had been said meanwhile.
func (a *Agent) hear() {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	now := int64(a.watch.now())
	if alone := int64(a.lease.stop()); now-a.heard.Load() <= alone {
		a.heard.Store(now)
		a.until.Store(now + alone - int64(a.begins))
	}
}

// enter asks to join, until it is answered.
func (a *Agent) enter(ctx context.Context) error {
	text, err := a.Join.Token.seal(a.subject.join, a.Member)
	if err != nil {
		return err
	}
	for {
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		m, err := a.conn.RequestWithContext(asked, a.subject.join, text)
		cancel()
		var got answer
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil: // nobody listens yet, or the broker is away
			time.Sleep(200 * time.Millisecond)
			continue
		case json.Unmarshal(m.Data, &got) != nil:
			return Refused{"what answers there is no run of stormctl"}
		case !got.OK:
			return Refused{"the run does not take it: " + got.Why}
		}
		a.Say(fmt.Sprintf("joined as %s; may send to %s", a.Member, a.Allow))
		return nil
	}
}

// beat lets the coordinator hear of it where there are no pulses to answer.
func (a *Agent) beat(ctx context.Context) {
	defer a.quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.quiet.C:
			a.tell(nil)
			a.quiet.Reset(a.lease.beat())
		}
	}
}

// tell lets the coordinator hear of it.
func (a *Agent) tell(beat []byte) {
	_ = a.conn.Publish(a.subject.beat(a.Member.Name), beat) // the next one may come through
}

// look stops it when it has heard nothing for too long, or has itself stood still for so
// long that it must be lost.
func (a *Agent) look(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	last := a.watch.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := a.watch.now()
		if now-last > a.lease.lost() {
			stop(fmt.Errorf("it stood still for %v, so that the run has lost it", (now - last).Round(100*time.Millisecond)))
		}
		if last = now; now-time.Duration(a.heard.Load()) > a.lease.stop() {
			stop(errUnheard)
		}
	}
}

// serve does what it is ordered: one plan, and its start.
func (a *Agent) serve(ctx context.Context) error {
	var p *plan
	for {
		var m *nats.Msg
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m = <-a.orders:
		}
		var o order
		err := a.Join.Token.open(m.Subject, m.Data, &o)
		switch {
		case err == nil && o.Plan != nil:
			if err = a.accept(o.Plan, p); err == nil {
				p = o.Plan
			}
		case err == nil && o.Start != nil && (p == nil || o.Start.Nonce != a.Member.Nonce):
			err = errors.New("it is no start of what it has been given")
		case err == nil && o.Start == nil:
			err = errors.New("it is no order")
		}
		got := answer{OK: err == nil}
		if err != nil {
			got.Why = err.Error()
			a.Say("refused: " + got.Why)
		}
		text, _ := json.Marshal(got) // of a bool and a string
		_ = m.Respond(text)          // who did not hear takes it for lost
		if err == nil && o.Start != nil {
			return a.sendPart(ctx, p, o.Start.At)
		}
	}
}

// accept takes a plan, if it is for it, the first, and within what its operator allows.
func (a *Agent) accept(p, before *plan) error {
	switch {
	case p.Nonce != a.Member.Nonce:
		return errors.New("the plan is for another joining: it is a recording, or came late")
	case before != nil:
		return errors.New("it has a plan already")
	}
	if err := checkPlan(&p.Load, a.Allow, a.Member.Loops); err != nil {
		return err
	}
	var err error
	if p.Load.Schedule, _, err = scheduleOf(p.Experiment); err != nil {
		return err
	}
	a.Say(fmt.Sprintf("has stripes %d to %d of %d", p.Load.Stripes.First+1, p.Load.Stripes.First+p.Load.Loops, p.Load.Stripes.Of))
	return nil
}

// sendPart sends its part from a time of its clock on, and hands over what it sees.
func (a *Agent) sendPart(ctx context.Context, p *plan, at time.Duration) (err error) {
	file, err := newSpool(filepath.Join(a.Dir, "feed-"+a.Member.Nonce[:8]))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			a.Say("what it saw is kept in " + file.file.Name())
		}
		err = errors.Join(err, file.close(err != nil))
	}()
	_, warmup, err := scheduleOf(p.Experiment)
	if err != nil {
		return err
	}
	begin := a.watch.at(at)
	r := newRecording(p.Load, warmup, p.Gate, begin, file)
	handing, cancel := context.WithCancel(context.WithoutCancel(ctx)) // what was seen is handed over after the load has ended too
	defer cancel()
	handed := make(chan error, 1)
	go func() { handed <- a.handOver(handing, file) }()

	a.Say(fmt.Sprintf("begins in %v", time.Until(begin).Round(time.Millisecond)))
	wait := time.NewTimer(time.Until(begin))
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
	wait.Stop()
	a.leasing.Lock()
	a.begins = at
	a.until.Store(a.heard.Load() + int64(a.lease.stop()-at))
	a.leasing.Unlock()
	p.Load.Stats, p.Load.Until = r.stats, &a.until
	r.begin()
	ended := load.Run(ctx, p.Load, begin, r.observe)
	if errors.Is(ended, load.ErrLapsed) {
		ended = errUnheard
	}
	r.end(ended)
	if ended != nil {
		a.Say("its load has ended: " + ended.Error())
	}
	return a.finish(ctx, handed, cancel, file, ended)
}

// finish waits until all is handed over, and puts the whole of it beside. A coordinator
// that is not heard of any more is not waited for.
func (a *Agent) finish(ctx context.Context, handed chan error, cancel func(), file *spool, ended error) error {
	if errors.Is(ended, errUnheard) {
		return ended
	}
	alone := time.NewTicker(lookEvery)
	defer alone.Stop()
	for {
		select {
		case err := <-handed:
			if err != nil || ended != nil { // of a part there is no whole
				return err
			}
			return a.putBeside(context.WithoutCancel(ctx), file)
		case <-alone.C:
			if a.watch.now()-time.Duration(a.heard.Load()) > a.lease.stop() {
				cancel()
				return errUnheard
			}
		}
	}
}

// handOver publishes frames in their order, as many at once as there are, each time until
// they are acknowledged.
func (a *Agent) handOver(ctx context.Context, file *spool) error {
	js, err := jetstream.New(a.conn)
	if err != nil {
		return err
	}
	number, at := uint64(0), int64(0)
	for {
		frames, after, err := file.next(at)
		if err != nil {
			if errors.Is(err, io.EOF) && file.err == nil {
				return nil
			}
			return err
		}
		if frames == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-file.grown:
			}
			continue
		}
		number++
		id := fmt.Sprintf("%s/%s/%d", a.Member.Name, a.Member.Nonce, number)
		message := append(binary.BigEndian.AppendUint64(nil, number), frames...)
		for {
			once, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := js.Publish(once, a.subject.feed(a.Member.Name), message, jetstream.WithMsgID(id))
			cancel()
			if err == nil {
				break
			}
			if errors.Is(err, nats.ErrConnectionClosed) { // by us: it does not come back
				return err
			}
			select { // the broker is away: it is on disk meanwhile
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		}
		at = after
	}
}

// putBeside puts the whole of what was handed over into the object store, with its SHA-256.
func (a *Agent) putBeside(ctx context.Context, file *spool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	js, err := jetstream.New(a.conn)
	if err != nil {
		return err
	}
	store, err := js.ObjectStore(ctx, bucketOf(a.Join.Token, a.Member.Name))
	if err == nil {
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: feedObject, Description: hex.EncodeToString(file.sum.Sum(nil))}, file.all())
	}
	if err != nil {
		return fmt.Errorf("put what was handed over into the object store: %w", err)
	}
	return nil
}

// feedObject is the name of what an agent has handed over, in its object store.
const feedObject = "feed"
