package agents

import (
	"encoding/binary"
	"time"

	"github.com/nats-io/nats.go"
)

// A stopwatch is the clock of a process: monotonic, from its own base.
type stopwatch struct{ base time.Time }

func startWatch() stopwatch { return stopwatch{time.Now()} }

func (s stopwatch) now() time.Duration { return time.Since(s.base) }

// at is the time of a reading.
func (s stopwatch) at(reading time.Duration) time.Time { return s.base.Add(reading) }

// tellClock answers who asks for a clock: when the question came, and when the answer
// left.
func tellClock(conn *nats.Conn, subject string, watch stopwatch) error {
	_, err := conn.Subscribe(subject, func(m *nats.Msg) {
		answer := binary.BigEndian.AppendUint64(nil, uint64(watch.now()))
		_ = m.Respond(binary.BigEndian.AppendUint64(answer, uint64(watch.now()))) // who did not hear asks again
	})
	return err
}

// askClock asks for a clock once, and reports whether it was told.
func askClock(conn *nats.Conn, subject string, watch stopwatch) (o offset, told bool) {
	left := watch.now()
	m, err := conn.Request(subject, nil, 500*time.Millisecond)
	came := watch.now()
	if err != nil || len(m.Data) != 16 {
		return offset{}, false
	}
	return exchanged(left, time.Duration(binary.BigEndian.Uint64(m.Data)), time.Duration(binary.BigEndian.Uint64(m.Data[8:])), came), true
}

// A beat is how an agent is heard of. Mostly it answers a pulse, and is an exchange with its
// clock then.
type beat struct {
	pulse      uint64        // the number of the one that it answers
	came, left time.Duration // of the agent's clock: the pulse, and this
}

// answers makes a beat that answers a pulse; one that answers none is empty.
func answers(pulse uint64, came, left time.Duration) []byte {
	text := binary.BigEndian.AppendUint64(nil, pulse)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(text, uint64(came)), uint64(left))
}

// readBeat is the inverse of answers; false is a beat that tells no clock.
func readBeat(text []byte) (b beat, ok bool) {
	if len(text) != 24 {
		return b, false
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(text[i:]) }
	b = beat{at(0), time.Duration(at(8)), time.Duration(at(16))}
	return b, b.pulse > 0
}

// drift is by how much two clocks run apart at most, in parts: 100 ppm, where crystals
// are specified to 20 to 50 each.
const drift = 100e-6

// An offset is by how much another clock is ahead of ours, and how far that may be off.
// An exchange of messages tells it: ours left at t1, came at t2 of theirs, was answered
// at t3 of theirs, and the answer came at t4. Wherever in between the time on the wire
// was spent, the offset is within half of it of the middle.
type offset struct {
	ahead, within time.Duration
	at            time.Duration // of our clock, when it was measured
	known         bool
}

// exchanged is the offset that an exchange tells.
func exchanged(t1, t2, t3, t4 time.Duration) offset {
	return offset{ahead: ((t2 - t1) + (t3 - t4)) / 2, within: ((t4-t1)-(t3-t2)+1)/2 + time.Nanosecond, at: t4, known: true}
}

// bound is how far it may be off at a time of our clock.
func (o offset) bound(now time.Duration) time.Duration {
	age := max(now-o.at, o.at-now)
	return o.within + time.Duration(drift*float64(age)) + time.Nanosecond
}

// better is the one of two that is known within less at a time.
func (o offset) better(p offset, now time.Duration) offset {
	if p.within <= 0 { // it claims to have been answered sooner than it came
		return o
	}
	if !o.known || p.known && p.bound(now) < o.bound(now) {
		return p
	}
	return o
}

// apart is how far a time of the other clock, turned into ours by o, may be off at now,
// as a later measurement knows.
func (o offset) apart(later offset, now time.Duration) time.Duration {
	moved := later.ahead - o.ahead
	return min(max(moved, -moved)+later.bound(now), o.bound(now))
}
