package http

import (
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// bodyPacer is how far a response's body has been passed on, for what is done to it.
type bodyPacer struct {
	length int64 // of the body
	known  bool  // length is known

	at    int64     // bytes of payload that have been looked at
	due   time.Time // when the next bytes may be passed on; zero if nothing slows them down
	noise noise
}

// writePaced passes on the next piece of a response to whose body something is
// done, as u.fate wants it:
//
//	head ─▶ piece ─▶ piece ─▶ ... ─▶ end       a piece waits for the pace
//	           │        └─ cut: FIN or RST      its bytes may be corrupted
//	           └─ framing is passed on as it is
func (u *h1Upstream) writePaced() bool {
	f, s := u.fate, &u.body
	if u.out > 0 { // the head
		switch {
		case !u.res.Body.Done():
			return u.pass(u.out, true) && (!u.cutIsDue(f) || u.cut(f))
		case f.BreaksDuring():
			// There is no body to break in the middle of: the head does not
			// come to its end.
			if !u.pass(u.out-len("\r\n"), true) {
				return false
			}
			u.c.mu.Lock()
			u.c.x.Status, u.c.x.Own = 0, int16(u.c.x.Status)
			u.c.mu.Unlock()
			return u.cut(f)
		default:
			return u.passLast()
		}
	}
	if u.cutIsDue(f) {
		return u.cut(f)
	}
	fresh := u.in.pending()
	if at, _, cuts := u.body.cutAt(f); cuts {
		fresh = fresh[:min(int64(len(fresh)), at-s.at)]
	}
	if f.Paces() {
		fresh = fresh[:min(int64(len(fresh)), f.Pace.Piece)]
	}
	n, payload, err := u.res.Body.Span(fresh)
	if err != nil {
		return u.leaveUnread(err)
	}
	if payload {
		u.shapePayload(f, fresh[:n])
	}
	u.out = n
	if u.res.Body.Done() {
		return u.passLast()
	}
	return u.pass(n, true) && (!u.cutIsDue(f) || u.cut(f))
}

// shapePayload corrupts the next bytes of payload, and says when they are due.
func (u *h1Upstream) shapePayload(f toxic.Fate, payload []byte) {
	corrupted := u.body.piece(f, payload, time.Now())
	u.c.mu.Lock()
	defer u.c.mu.Unlock()
	if !u.c.x.open {
		return
	}
	if corrupted {
		u.c.recordHits(toxic.Fate.Corrupts)
	}
	u.c.recordHits(toxic.Fate.Paces)
}

// piece corrupts the next bytes of payload, says when they are due, and reports
// whether it changed any.
func (s *bodyPacer) piece(f toxic.Fate, payload []byte, now time.Time) (corrupted bool) {
	corrupted = s.noise.on(f.Corrupt, s.at, payload)
	s.at += int64(len(payload))
	if f.Paces() {
		if least := now.Add(-f.Pace.Pause); s.due.Before(least) {
			s.due = now // it has just begun, or the caller takes no more than this anyway
		}
		s.due = s.due.Add(time.Duration(float64(f.Pace.Pause) * float64(len(payload)) / float64(f.Pace.Piece)))
	}
	return corrupted
}

// cutAt is how much of the body reaches the caller before the fate cuts it off,
// by a reset if it is hard and by a FIN if not.
func (s *bodyPacer) cutAt(f toxic.Fate) (at int64, hard, cuts bool) {
	if f.BreaksDuring() {
		hard, cuts = true, true
		if at = 1; s.known {
			at = s.length / 2
		}
	}
	if f.Truncates() && (!cuts || f.Truncate.After < at) {
		return f.Truncate.After, false, true
	}
	return at, hard, cuts
}

// cutIsDue reports whether the fate cuts the response off here. Behind its last
// byte there is nothing to cut off; if it is the end of the connection that tells
// which one that is, there is when more has come.
func (u *h1Upstream) cutIsDue(f toxic.Fate) bool {
	at, hard, cuts := u.body.cutAt(f)
	if !cuts || u.body.at < at || u.res.Body.Done() {
		return false
	}
	return hard || u.res.Body.EOF() != nil || len(u.in.pending()) > u.out
}

// cut ends the response here. One that the end of the connection ends would be whole
// by a FIN: it takes a reset for its caller to see that it is not.
func (u *h1Upstream) cut(f toxic.Fate) bool {
	c := u.c
	if _, hard, _ := u.body.cutAt(f); hard || u.res.Body.EOF() == nil {
		does := toxic.Fate.Truncates
		if hard {
			does = toxic.Fate.BreaksDuring
		}
		c.delivered()
		c.mu.Lock()
		given := c.up != u
		if !given && c.x.open {
			c.recordHits(does)
		}
		c.mu.Unlock()
		if !given {
			c.breakOff()
		}
		return false
	}
	c.mu.Lock()
	if c.up != u {
		c.mu.Unlock()
		return false
	}
	if c.x.open {
		c.recordHits(toxic.Fate.Truncates)
	}
	e, ok := c.finish(evidence.Broken)
	c.ending = toClose
	c.giveUp(false)
	c.mu.Unlock()
	if ok {
		e.Tell()
	}
	_ = c.caller.CloseWrite() // fails only if the caller is gone, which its own side sees
	c.wakeCaller()
	return false
}

// discard drops what there is of a response that the caller never hears.
func (u *h1Upstream) discard() bool {
	u.in.take(u.out)
	u.out = 0
	n, done, err := u.res.Body.Next(u.in.pending())
	u.in.take(n)
	if done || err != nil {
		u.dropLast()
		return false
	}
	return true
}

// dropLast is for when a response that the caller never hears has come to its
// end: the dependency has done all of its work.
func (u *h1Upstream) dropLast() {
	c := u.c
	c.mu.Lock()
	if c.up == u {
		c.x.lost = true
		c.giveUp(false)
	}
	c.mu.Unlock()
	c.wakeCaller() // its side breaks it off, or waits for the heal
}
