package load

import (
	"fmt"
	"slices"
	"time"
)

// Outcome is how one arrival ended. Exactly one applies; they differ in what the
// caller would have to do about them.
type Outcome uint8

const (
	OK          Outcome = iota // a complete response with status below 400
	ClientError                // a complete response, 4xx
	ServerError                // a complete response, 5xx
	TimedOut                   // no complete response, or no connection, within the route's timeout or the end of Plan.Grace
	Refused                    // the connection could not be opened
	Reset                      // the connection was reset or closed before the response was complete
	Malformed                  // what came back is not HTTP, or not gRPC, or less or more than it said
	Wrong                      // a complete response of any status that fails one of Route.Checks
	// TooLarge is what came back past a bound of ours (wire.MaxHead, wire.MaxFields,
	// wire.MaxList): sound perhaps, and not read. It is no failure of the service's.
	TooLarge

	// Unsent is due, but never sent: no connection came free before the run ended, or
	// the host had no descriptor or port left for one. Over HTTP/2 also what was sent,
	// but not processed as the service said itself, and could not be sent again.
	Unsent
	outcomes
)

// Outcomes is the number of different outcomes, for arrays indexed by Outcome.
const Outcomes = int(outcomes)

var outcomeNames = [Outcomes]string{"ok", "4xx", "5xx", "timed_out", "refused", "reset", "malformed", "wrong", "too_large", "unsent"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// ParseOutcome is the inverse of String.
func ParseOutcome(s string) (Outcome, error) {
	if i := slices.Index(outcomeNames[:], s); i >= 0 {
		return Outcome(i), nil
	}
	return 0, fmt.Errorf("unknown outcome %q", s)
}

// Ours reports whether it is the harness, and not the service, that had no
// response: what the service would have come to is not known.
func (o Outcome) Ours() bool { return o == Unsent || o == TooLarge }

// Answered reports whether a complete response came.
func (o Outcome) Answered() bool { return o <= ServerError || o == Wrong }

// OutcomeOf classifies a complete response by its status. A 1xx or 3xx is a
// success: the service answered as it meant to.
func OutcomeOf(status int) Outcome {
	switch {
	case status >= 500:
		return ServerError
	case status >= 400:
		return ClientError
	default:
		return OK
	}
}

// Sample is what one arrival came to. All times count from the start of the
// run on the monotonic clock. There is no field called latency: a caller
// waited ResponseTime, the service took ServiceTime, the harness was late by
// SendLag.
type Sample struct {
	ID       uint64        // travels in the request: the arrival's number in the run, from 1, and of a step its number too (wire.SeqOf)
	Route    int           // index into Plan.Routes
	Step     int           // 0 is the route's own request, n the n-th of Route.Then
	Intended time.Duration // when the schedule wanted it sent
	// Sent is when its first byte was handed to the kernel, the last time if it was
	// sent again, of what was redirected the first request's; when the dial began if no connection opened; 0 if Unsent.
	Sent     time.Duration
	Late     time.Duration // how long after Intended its event loop came to it: the harness's own part of SendLag
	Done     time.Duration // when its outcome was known
	Received int64         // bytes of the response that came, its head included
	// Status is 0 unless a complete response came. Of GRPC it is the HTTP status that
	// stands for the call's (wire.GRPCToHTTP): that of HTTP is 200 whatever came of it.
	Status  int
	Outcome Outcome
	// Skipped is Unsent without having waited, by Plan.MaxQueue or for want of a
	// descriptor or port: it does not tell how long a caller would have waited.
	Skipped bool
}

// ResponseTime is what a caller waited: done − intended. It counts the time an
// arrival spent queueing in the harness because the system was slow, so a
// stall is not omitted (coordinated omission, Gil Tene 2013).
func (s Sample) ResponseTime() time.Duration { return s.Done - s.Intended }

// ServiceTime is done − sent; 0 if the arrival was never sent.
func (s Sample) ServiceTime() time.Duration {
	if s.Outcome == Unsent {
		return 0
	}
	return s.Done - s.Sent
}

// SendLag is sent − intended. Late of it is the harness's doing; the rest is the
// wait for a free connection, or for one that had to be dialled. For an
// arrival that was never sent it is how long it waited.
func (s Sample) SendLag() time.Duration {
	if s.Outcome == Unsent {
		return s.Done - s.Intended
	}
	return s.Sent - s.Intended
}
