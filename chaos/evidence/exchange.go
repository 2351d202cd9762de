package evidence

import (
	"fmt"
	"time"
)

// Ending tells how an exchange ended, seen from the link.
type Ending uint8

const (
	Answered   Ending = iota // the dependency's response was passed on whole
	Injected                 // a fault answered in the dependency's place
	CallerGone               // the caller closed before it had its response: it timed out or was cancelled
	Failed                   // the dependency refused, reset or closed before a whole response
	Broken                   // a fault ended the connection before a whole response
	Cut                      // the run or the relay ended first
	Unread                   // it could not be read: how it ended is not known, and others may have followed it
	endings
)

var endingNames = [endings]string{"answered", "injected", "caller_gone", "failed", "broken", "cut", "unread"}

func (e Ending) String() string {
	if int(e) < len(endingNames) {
		return endingNames[e]
	}
	return fmt.Sprintf("ending(%d)", uint8(e))
}

// ParseEnding is the inverse of String.
func ParseEnding(s string) (Ending, error) {
	for i, name := range endingNames {
		if s == name {
			return Ending(i), nil
		}
	}
	return 0, fmt.Errorf("unknown ending %q", s)
}

// Exchange is one request and its response seen at a link; at a link that knows
// connections only, one connection. The relay stamps
// Begin when the request's head is there, and End just before the last bytes
// are given to the caller (or when the caller is seen gone): a caller that
// holds at most N calls at a time is never seen holding more for longer than
// the relay's own scheduling delay.
type Exchange struct {
	Seq      uint64 // order of Begin on this link, from 1
	ID       uint64 // number of the arrival that caused it; 0 if the request carried none of this run
	Conn     uint64 // the caller's connection on this link, from 1
	Begin    time.Duration
	End      time.Duration
	Method   string
	Path     string // without query
	Status   int    // what the caller got; 0 if no response head reached it
	InFlight int32  // exchanges in progress on this link at Begin, this one included
	Own      int16  // what the dependency answered, where its caller got another status or none; 0 if it got that, or none was seen
	Ending   Ending
	Faults   uint64 // bit i is set if the fault with Injection.Index i hit it; Extras.Further has those that have no bit
	Key      uint64 // hash of Idempotency-Key; 0 if it carried none
	Payload  uint64 // hash of the request body; 0 if it had none

	Extras *Extras // nil for one that has none, as most
}

// Extras is what few exchanges have, and all connections. It is a record of its own because a run keeps millions of
// exchanges. Exchanges may share it, and nobody changes it.
type Extras struct {
	RetryAfter time.Duration // what the response asked the caller to wait; 0 if nothing

	BytesUp, BytesDown uint64 // given to the dependency and to the caller; 0 where only exchanges count

	// Code is what a dependency said first on a connection, where the link reads its greeting: Welcome, or a code like
	// 53300. "" is for one that said nothing that could be read, and where no greeting is read.
	Code string

	Further *FaultSet // the faults from number FaultBits on that hit it; nil if none did. Exchanges share it, and nobody changes it
}

// Extra is what the exchange has of Extras, all zero if it has none.
func (x *Exchange) Extra() Extras {
	if x.Extras == nil {
		return Extras{}
	}
	return *x.Extras
}

// SetRetryAfter sets what the response asked the caller to wait.
func (x *Exchange) SetRetryAfter(wait time.Duration) {
	if extra := x.Extra(); extra.RetryAfter != wait {
		extra.RetryAfter = wait
		x.Extras = &extra
	}
}

// Welcome is the Code of a connection that the dependency has let in.
const Welcome = "ok"

// Refused reports whether the dependency accepted the connection, and then refused it.
func (x *Exchange) Refused() bool {
	code := x.Extra().Code
	return code != "" && code != Welcome
}

// Duration is how long the exchange took, as far as the link saw.
func (x Exchange) Duration() time.Duration { return x.End - x.Begin }

// OwnStatus is what the dependency answered, whatever its caller got; 0 if that is not known.
func (x *Exchange) OwnStatus() int {
	switch {
	case x.Own != 0:
		return int(x.Own)
	case x.Ending == Injected:
		return 0
	}
	return x.Status
}

// HitBy reports whether the fault with this index touched the exchange.
func (x *Exchange) HitBy(fault int) bool {
	return x.Faults&(1<<uint(fault)) != 0 || x.Extras != nil && x.Extras.Further != nil && x.Extras.Further.Has(fault)
}
