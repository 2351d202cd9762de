package agents

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// mostAfter is how long after the end of its load, and what that may take to finish, an
// agent may hand over what it saw.
const mostAfter = 60 * time.Second

// Run implements chaos.RemoteLoad: it passes on what agents hand over, until each has
// ended or is lost.
func (c *Coordinator) Run(ctx context.Context, seen chaos.RemoteObserver) error {
	begun := time.Now()
	look := time.NewTimer(0)
	defer look.Stop()
	k := &collecting{Coordinator: c, seen: seen, begun: begun}
	_, k.rows = rowsOf(c.spec.Plan.Routes)
	for _, r := range c.spec.Plan.Routes {
		k.steps = append(k.steps, len(r.Then))
		k.patience = max(k.patience, r.Timeout)
	}
	over := ctx.Done()
	for {
		select {
		case m := <-c.feeds:
			k.take(m)
			k.takeAll()
		case told := <-seen.Wanted:
			k.catchUp()
			close(told)
		case <-look.C:
		case <-c.gone:
		case <-over:
			c.Halt(fmt.Sprint(context.Cause(ctx)))
			over, k.halted = nil, time.Now()
		}
		k.keepUp()
		if k.look() {
			return k.ended(ctx)
		}
		look.Reset(k.due())
	}
}

// collecting is the state of Run.
type collecting struct {
	*Coordinator
	seen     chaos.RemoteObserver
	begun    time.Time
	halted   time.Time // zero if it was not
	steps    []int     // by route
	rows     int       // kinds of request that are counted apart
	patience time.Duration
	arrived  bitset // by number of the arrival
	unpack   unpacker
	kept     int           // bytes of blocks in memory
	spent    time.Duration // on recording while the load went on
}

// takeAll takes in what else has come.
func (k *collecting) takeAll() {
	for {
		select {
		case m := <-k.feeds:
			k.take(m)
		default:
			return
		}
	}
}

// ended is what Run returns.
func (k *collecting) ended(ctx context.Context) error {
	if !k.halted.IsZero() {
		return context.Cause(ctx)
	}
	if !slices.ContainsFunc(k.all(), func(a *joined) bool { return a.why == "" }) {
		return errors.New("all agents are lost")
	}
	return nil
}

// messageHead is how many bytes stand before the frames of a message: its number.
const messageHead = 8

// take takes in a message of frames.
func (k *collecting) take(m jetstream.Msg) {
	name, data := lastPart(m.Subject()), m.Data()
	i := slices.IndexFunc(k.all(), func(a *joined) bool { return a.Name == name })
	if i < 0 || len(data) <= messageHead {
		return
	}
	k.mu.Lock()
	a := k.agents[i]
	a.heard = k.watch.now()
	number, gone := binary.BigEndian.Uint64(data), a.why != ""
	again, skipped := number <= a.number, number > a.number+1
	a.number = max(a.number, number)
	k.mu.Unlock()
	switch {
	case gone || again:
		return // its share is accounted for, or it was there before
	case skipped:
		k.lose(a, "a part of what it handed over is missing")
		return
	}
	a.sum.Write(data[messageHead:])
	for rest := data[messageHead:]; len(rest) > 0; {
		frame, after, whole := cutFrame(rest)
		err := errFrame
		if rest = after; whole {
			to := len(data) - len(rest)
			err = k.frame(a, frame[0], frame[1:], block{message: m, from: to - len(frame) + 1, to: to})
		}
		if err != nil {
			k.lose(a, "what it handed over cannot be read: "+err.Error())
			return
		}
	}
}

// frame takes one in.
func (k *collecting) frame(a *joined, kind byte, body []byte, place block) error {
	switch kind {
	case frameSamples:
		n, _, _, err := blockHead(body)
		if err != nil {
			return err
		}
		a.samples += uint64(n)
		a.waiting = append(a.waiting, k.keep(place))
	case frameCounts:
		counted, err := readCounts(body, k.rows)
		if err != nil {
			return err
		}
		a.blocks, a.waiting = append(a.blocks, a.waiting...), nil
		k.seen.Count(a.shard, counted.warm, counted.rest)
	case frameSecond:
		var s second
		if err := json.Unmarshal(body, &s); err != nil {
			return errFrame
		}
		now := k.watch.now()
		k.mu.Lock()
		s.Tick.Clock = evidence.Seconds(a.first.apart(a.clock, now))
		k.mu.Unlock()
		k.seen.Second(a.Name, s.At.Duration(), s.Tick)
	case frameDone:
		var d done
		if err := json.Unmarshal(body, &d); err != nil {
			return errFrame
		}
		return k.done(a, d)
	default:
		return errFrame
	}
	return nil
}

// done compares what an agent says it has handed over with what came.
func (k *collecting) done(a *joined, d done) error {
	switch {
	case d.Samples != a.samples:
		return fmt.Errorf("it says %d samples, and %d came", d.Samples, a.samples)
	case d.Lost > 0:
		return fmt.Errorf("it could not keep %d samples", d.Lost)
	case d.Why != "" && k.halted.IsZero():
		k.lose(a, "it ended early: "+d.Why)
		return nil
	}
	if err := k.record(a, len(a.blocks)); err != nil {
		return err
	}
	if d.Why == "" {
		if err := k.compare(a); err != nil {
			return err
		}
	}
	k.mu.Lock()
	a.ended = true
	k.mu.Unlock()
	return nil
}

// compare fetches the whole of what an agent has handed over, whose SHA-256 the object
// store checks, and compares it with what came piece by piece.
func (k *collecting) compare(a *joined) error {
	ctx, cancel := context.WithTimeout(context.Background(), mostAfter)
	defer cancel()
	store, err := k.js.ObjectStore(ctx, bucketOf(k.Join.Token, a.Name))
	if err != nil {
		return fmt.Errorf("its object store: %w", err)
	}
	for {
		object, err := store.Get(ctx, feedObject)
		if errors.Is(err, jetstream.ErrObjectNotFound) && ctx.Err() == nil { // it comes after the last frame
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("the whole of what it handed over is not in the object store: %w", err)
		}
		info, err := object.Info()
		if err == nil {
			_, err = io.Copy(io.Discard, object) // which is where its SHA-256 is checked
		}
		_ = object.Close()
		if err != nil {
			return fmt.Errorf("the whole of what it handed over is not what it was: %w", err)
		}
		if want := hex.EncodeToString(a.sum.Sum(nil)); info.Description != want {
			return errors.New("what came piece by piece is not the whole that it put into the object store")
		}
		return nil
	}
}

// lose takes an agent for lost.
func (k *collecting) lose(a *joined, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a.why == "" && !a.ended {
		a.why = why
	}
}

// look finds who is lost, tells what is due of their shares, and reports whether all is
// seen.
func (k *collecting) look() (over bool) {
	now := time.Since(k.begun)
	late := now > k.last()
	over = true
	alive := false
	for _, a := range k.all() {
		if late {
			k.lose(a, "it did not hand over the rest in time")
		}
		k.mu.Lock()
		why, ended := a.why, a.ended
		k.mu.Unlock()
		if why != "" && !a.told {
			k.tell(a, why)
		}
		if why != "" {
			k.owe(a, now)
			ended = len(a.owed) == 0 || !k.halted.IsZero()
		}
		over, alive = over && ended, alive || why == ""
	}
	return over || !alive
}

// last is when, since it began, an agent that has not handed over the rest is lost.
func (k *collecting) last() time.Duration {
	last := k.spec.Plan.Schedule.Duration() + max(k.spec.Plan.Grace, k.patience) + mostAfter
	if !k.halted.IsZero() {
		last = min(last, k.halted.Sub(k.begun)+k.patience+k.lease.stop())
	}
	return last
}

// due is how long until look has something to do though nothing comes.
func (k *collecting) due() time.Duration {
	for _, a := range k.all() {
		if len(a.owed) > 0 {
			return lookEvery
		}
	}
	return k.last() - time.Since(k.begun) + time.Millisecond
}

// tell says that an agent is lost, and finds what it owes.
func (k *collecting) tell(a *joined, why string) {
	a.told, a.waiting = true, nil
	if err := k.record(a, len(a.blocks)); err != nil {
		why += "; and not all that it had handed over can be read: " + err.Error()
	}
	k.seen.Lost(a.Name, why)
	k.Say(fmt.Sprintf("agent %s is lost: %s", a.Name, why))
	part := a.part
	part.Schedule = k.spec.Plan.Schedule
	for s := range load.Due(part) {
		if !k.arrived.has(s.ID) {
			a.owed = append(a.owed, owing{s.ID, s.Route, s.Intended})
		}
	}
	slices.SortFunc(a.owed, func(x, y owing) int { return int(x.intended - y.intended) })
	k.pulse() // it may have been only frozen
}

// owe tells what was due until now of an agent that is lost. What became of what it had
// sent is not known: as of what it had not, nobody waits for it.
func (k *collecting) owe(a *joined, now time.Duration) {
	n := 0
	for ; n < len(a.owed) && a.owed[n].intended <= now; n++ {
		o := a.owed[n]
		k.seen.Unsent(a.shard, load.Sample{ID: o.id, Route: o.route, Intended: o.intended, Done: o.intended, Outcome: load.Unsent,
			Skipped: true})
	}
	a.owed = a.owed[n:]
}

// bitset is a set of numbers.
type bitset []uint64

// mostArrivals bounds what an agent can have us keep: a number past it is no arrival.
const mostArrivals = 1 << 32

func (b *bitset) set(n uint64) {
	if n > mostArrivals {
		return
	}
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, make([]uint64, max(64, len(*b)))...)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitset) has(n uint64) bool { return n/64 < uint64(len(b)) && b[n/64]&(1<<(n%64)) != 0 }
