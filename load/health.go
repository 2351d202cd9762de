package load

import (
	"fmt"
	"time"
)

// Second is what a harness knows of itself at the end of one second. A figure
// that is 0 was not known, or there was nothing to know.
type Second struct {
	At        time.Duration // when it ended
	Length    time.Duration // of the last one, which the load's end has cut short; 0 is a second
	Ended     uint64        // requests that did in it
	Late      time.Duration // p99 of their Sample.Late
	HiccupP99 time.Duration // see Hiccup
	HiccupMax time.Duration
	Pause     time.Duration // the longest of Go's runtime, to collect garbage
	Busy      float64       // see Reading
	Pressure  float64       // see Hiccup
	CPU       float64       // cores used by this process
	Cores     int           // that the machine has
}

// Totals is what it knows of a load as a whole.
type Totals struct {
	Closed      bool          // the model: then nothing is due and so nothing late, and it is meant to take what it can
	Due         uint64        // arrivals
	Late        time.Duration // p99 of their Sample.Late; 0 if it is not known
	Unsent      uint64        // of them never sent, where they were to wait for a connection
	Starved     uint64        // see Reading; they are Unsent too
	DialLimited uint64        // see Reading
	Lost        uint64        // records of requests that are not there as they were counted
	Altered     uint64        // of them, those that were written, in files that were changed since
	Asked       int           // connections of the closed model
	Open        int           // the most there were at a time
	DialLimit   bool          // Plan.DialRate is set
}

// Checkup decides whether a harness was well: whether what it measured is the
// system's doing and not its own or its machine's. Add is called for every second,
// and its size does not grow with them. The zero Checkup is ready.
//
// It errs on neither side: it must not warn of a quiet machine, or it is not
// believed when it counts, and not let pass what shows in a p99. Where a bound is
// compared with the host's hiccups, that is because the same hiccups delay the
// system too, and every tool beside us: they are not the harness's doing, and
// only a machine that keeps stalling is one that nothing can be measured on.
// What happened in less than a hundredth of the seconds cannot move a p99 of the
// load, and is left to the figures themselves.
type Checkup struct {
	Batch time.Duration // Plan.Batch, by which it sends late on purpose

	seconds   int
	worst     [conditions]Second  // the worst second of each
	severity  [conditions]float64 // how bad the worst one was
	count     [conditions]int     // seconds with it
	hiccupP99 time.Duration       // of the worst second
	hiccupMax time.Duration
}

// condition is what can be wrong in one second.
type condition int

const (
	late condition = iota
	busy
	paused
	stalled
	still
	crowded
	conditions
)

// The bounds. Each is seen on no quiet machine of two cores, virtual ones
// included, and passed at once by a busy loop for each core.
const (
	// LateBy is how late a harness may send, at p99, without an explanation.
	LateBy = 2 * time.Millisecond

	// A p99 of fewer requests than these is the lateness of one or two of them,
	// at the start, when connections are opened. It is compared with the host's
	// longest hiccup, and may be lateByOnce.
	fewRequests = 1000
	lateByOnce  = 10 * time.Millisecond

	noTimeLeft = 0.95                  // of a core, by one loop
	stallingBy = 10 * time.Millisecond // for a hundredth of more than half of the seconds

	// StandStill is how long a hiccup is after which the harness, or all of its
	// host, is said to have stood still: seconds are late by no more than lateTick.
	StandStill = 500 * time.Millisecond
	lateTick   = 500 * time.Millisecond

	// Of less than this, shares of it say nothing: a thread that waits for its
	// turn once is 90% of 20 ms.
	short = 200 * time.Millisecond

	// Crowded is how much of a second some thread of a crowded machine waits
	// for a core.
	Crowded = 0.7
)

// StoodStill is for how long a harness stood still at once in a second that took so long;
// 0 if it did not. All that it did then may be late by it, and meanwhile it saw nothing.
func StoodStill(length, hiccupMax time.Duration) time.Duration {
	if hiccupMax < StandStill && length <= time.Second+lateTick {
		return 0
	}
	return max(hiccupMax, length-time.Second)
}

// Add takes the next second into account.
func (c *Checkup) Add(s Second) {
	c.seconds++
	c.hiccupP99, c.hiccupMax = max(c.hiccupP99, s.HiccupP99), max(c.hiccupMax, s.HiccupMax)
	allowed := allowance(s.Ended, s.HiccupP99, s.HiccupMax)
	c.note(late, s, s.Late > allowed+c.Batch, float64(s.Late))
	c.note(paused, s, s.Pause > allowed, float64(s.Pause))
	stood := StoodStill(s.Length, s.HiccupMax)
	c.note(still, s, stood > 0, float64(stood))
	if s.Length > 0 && s.Length < short {
		return
	}
	c.note(busy, s, s.Busy >= noTimeLeft, s.Busy)
	c.note(stalled, s, s.HiccupP99 > stallingBy, float64(s.HiccupP99))
	// Where the load itself takes most of the machine, as one at its limit does,
	// being late and busy show whether that is too much.
	ours := s.Cores > 0 && s.CPU >= float64(s.Cores)/2
	c.note(crowded, s, s.Pressure >= Crowded && !ours, s.Pressure)
}

// allowance is how late so many requests may be at p99.
func allowance(requests uint64, hiccupP99, hiccupMax time.Duration) time.Duration {
	if requests < fewRequests {
		return max(lateByOnce, 2*hiccupMax)
	}
	return max(LateBy, 2*hiccupP99)
}

func (c *Checkup) note(a condition, s Second, is bool, severity float64) {
	if !is {
		return
	}
	if c.count[a] == 0 || severity > c.severity[a] {
		c.worst[a], c.severity[a] = s, severity
	}
	c.count[a]++
}

// has reports whether the load suffered from it, and gives the worst second.
func (c *Checkup) has(a condition) (worst Second, n int, is bool) {
	n = c.count[a]
	is = n > 0 && 100*n >= c.seconds
	switch a {
	case stalled:
		is = 2*n > c.seconds
	case still:
		is = n > 0 // what was not seen may be what matters
	}
	return c.worst[a], n, is
}

// Trouble is a kind of problem: it decides what that bears on.
type Trouble uint8

const (
	TroubleLost    Trouble = iota // records of requests are missing
	TroubleStarved                // arrivals were not sent for want of a descriptor or port
	TroubleUnsent                 // arrivals were not sent for want of a connection
	TroubleLate                   // arrivals were sent late, by the harness's own doing
	TroubleBusy                   // an event loop had no time left
	TroublePaused                 // the runtime stopped the harness
	TroubleStalled                // the host kept stalling
	TroubleStill                  // the harness stood still, and saw nothing
	TroubleCrowded                // others took the host's cores
	TroubleLimited                // the load's own bound on new connections held arrivals back
	TroubleFew                    // fewer connections than a closed model was to have
)

// Problem is one reason why a harness was not well.
type Problem struct {
	Trouble Trouble
	Text    string // a sentence with its figures and what to do about it
}

func (p Problem) String() string { return p.Text }

// Texts are the sentences of problems, nil if there are none.
func Texts(problems []Problem) []string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Text)
	}
	return texts
}

// Problems says why the harness was not well; none means that it was.
func (c *Checkup) Problems(w Totals) []Problem {
	var all []Problem
	say := func(t Trouble, format string, args ...any) {
		all = append(all, Problem{t, fmt.Sprintf(format, args...)})
	}
	if n := w.Lost - min(w.Lost, w.Altered); n > 0 {
		say(TroubleLost, "%d records of requests were lost, because the disk was too slow or full:"+
			" counts made from them are in doubt; record to another one, or less", n)
	}
	if w.Altered > 0 {
		say(TroubleLost, "%d records are not as the run counted them, because files were changed since:"+
			" counts made from them are in doubt; judge the directory as the run left it", w.Altered)
	}
	if w.Starved > 0 {
		say(TroubleStarved, "%d arrivals were never sent, because the host had no descriptor or port left for a connection:"+
			" allow fewer connections, or raise ulimit -n and net.ipv4.ip_local_port_range", w.Starved)
	}
	if n := w.Unsent - min(w.Unsent, w.Starved); n > 0 {
		say(TroubleUnsent, "%d arrivals were due and never sent, because no connection came free until the end: allow more"+
			" connections or offer less", n)
	}
	if !w.Closed {
		c.lateness(w, say)
	}
	if s, n, is := c.has(paused); is {
		say(TroublePaused, "Go stopped the harness for up to %v to collect garbage, in %d s of it: give it more memory"+
			" (GOGC), or offer less", round(s.Pause), n)
	}
	if s, n, is := c.has(stalled); is {
		say(TroubleStalled, "the host kept stalling, in %d s: a hundredth of the time a sleeping thread would have woken up"+
			" to %v late; measure on a machine that has its cores to itself", n, round(s.HiccupP99))
	}
	if s, _, is := c.has(still); is {
		say(TroubleStill, "the harness stood still for %v around %v, and what the system did meanwhile was not seen: run it"+
			" where nothing stops it", StoodStill(s.Length, s.HiccupMax).Round(10*time.Millisecond), s.At.Round(time.Second))
	}
	if s, n, is := c.has(crowded); is && !w.Closed {
		say(TroubleCrowded, "the machine's cores were taken in %d s: some thread was waiting for one for up to %.0f%% of"+
			" the time, so that times may be too long; end what else runs there, or offer less", n, 100*s.Pressure)
	}
	if w.DialLimited > 0 && 100*w.DialLimited >= w.Due {
		say(TroubleLimited, "%d of %d arrivals waited because the limit of new connections per second allowed none, and"+
			" response times have that in them: raise it, or warm up first", w.DialLimited, w.Due)
	}
	if w.Closed && w.Open < w.Asked && !w.DialLimit {
		say(TroubleFew, "only %d of %d connections were open at a time: ask for fewer, or make the load longer", w.Open, w.Asked)
	}
	return all
}

// lateness says what kept arrivals from being sent when they were due.
func (c *Checkup) lateness(w Totals, say func(Trouble, string, ...any)) {
	if s, n, is := c.has(late); is {
		say(TroubleLate, "requests were sent late in %d s, by the harness's own doing: by %v (p99) around %v, where the"+
			" host's hiccups were %v (p99) and at most %v; offer less, or give it more cores",
			n, round(s.Late), s.At.Round(time.Second), round(s.HiccupP99), round(s.HiccupMax))
	} else if w.Late > allowance(w.Due, c.hiccupP99, c.hiccupMax)+c.Batch {
		say(TroubleLate, "requests were sent %v late (p99), by the harness's own doing, where the host's hiccups were %v"+
			" (p99): offer less, or give it more cores",
			round(w.Late), round(c.hiccupP99))
	}
	if s, n, is := c.has(busy); is {
		say(TroubleBusy, "an event loop took %.0f%% of a core in %d s, so that it had no time left: offer less, or give it"+
			" more cores", 100*s.Busy, n)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
