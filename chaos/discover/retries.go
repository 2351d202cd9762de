package discover

import (
	"cmp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

const (
	leastWaits = 5                      // of which the range of a wait is told
	leastSpent = 3                      // calls that made as many attempts as any, to speak of the most
	promptly   = 100 * time.Millisecond // an error that takes as long may have been given up by whoever asked
	hop        = 5 * time.Millisecond   // that the way to the link and back takes at most on a machine that is not busy
	early      = time.Millisecond       // that a timer may be, as a sleep in Node.js
	atOnce     = 20 * time.Millisecond  // a repeat that comes sooner may be the HTTP library's own
)

// learnAttempts is how often a call is tried, after what, and with which key.
func (f *Findings) learnAttempts(all []request) {
	if f.Anonymous {
		return
	}
	if f.Causes == nil {
		f.Causes = map[Cause]Retried{}
	}
	byCount := map[int]int{}
	for _, r := range all {
		if len(r.calls) == 0 {
			continue
		}
		attempts := r.attempts()
		cause, bad := failed(attempts[0])
		if !bad {
			continue
		}
		seen := f.Causes[cause]
		seen.Calls++
		if len(attempts) > 1 {
			seen.Retried++
			f.learnKeys(attempts)
		}
		f.Causes[cause] = seen
		if _, last := failed(attempts[len(attempts)-1]); last && r.Status != 0 { // given up while its caller waited
			byCount[len(attempts)]++
		}
		f.learnRetryAfter(attempts)
	}
	most, calls := 0, 0
	for n, count := range byCount {
		if count >= leastSpent && n > most {
			most, calls = n, count
		}
	}
	if most > 0 && (f.Attempts == nil || float64(most) > f.Attempts.High) {
		f.Attempts = &Figure{Sample: calls}
		f.Attempts.Low, f.Attempts.High = float64(most), float64(most)
	}
}

// learnKeys looks at the keys of a call that was tried again.
func (f *Findings) learnKeys(attempts []*evidence.Exchange) {
	first := attempts[0]
	if first.Key == 0 && (first.Method == "POST" || first.Method == "PATCH") {
		f.Unkeyed++
	}
	for _, x := range attempts[1:] {
		if x.Key != first.Key {
			f.KeysChanged++
			return
		}
	}
}

// learnRetryAfter is how long the retry of a call waited that was told to.
func (f *Findings) learnRetryAfter(attempts []*evidence.Exchange) {
	for i, x := range attempts[:len(attempts)-1] {
		if x.Extra().RetryAfter == 0 {
			continue
		}
		waited := attempts[i+1].Begin - x.End
		seen := between(waited-hop, waited, 1)
		if f.RetryAfter == nil {
			f.RetryAfter = seen
			continue
		}
		f.RetryAfter.Low = min(f.RetryAfter.Low, seen.Low)
		f.RetryAfter.High = max(f.RetryAfter.High, seen.High)
		f.RetryAfter.Sample++
	}
}

// toldOff reports whether an attempt got an error soon enough for its caller to have waited
// for it. One that was given up may be known to be over at the link long after its caller
// went on: with 17 threads on two cores, 4 s were seen.
func toldOff(x *evidence.Exchange) bool {
	_, bad := failed(x)
	whole := x.Ending == evidence.Answered || x.Ending == evidence.Injected
	return bad && x.Status != 0 && whole && x.Duration() < promptly
}

// learnWaits is how long callers wait before each retry. The range of n draws of a
// uniform range is short of it by the (n−1)th part of itself at either end, on
// average, and hardly ever by more than four times that.
//
// The host may make a wait longer, and hardly all of them: the longest may be so much
// too long, and the shortest of many is not. Where the longest tenth lies far from the
// others, as no even range has it, only the shorter half is known to be in the range.
// Each has in it the way from the link to the service and back, which is a part of what
// requests take beside their calls. Waits go on when the fault is over: the host counts until the last of them ended.
func (f *Findings) learnWaits(run *evidence.Run, all []request, begin time.Duration) {
	var byRetry [][]time.Duration
	end := begin
	for _, r := range all {
		if len(r.calls) < 2 {
			continue
		}
		attempts := r.attempts()
		for i := range attempts[:len(attempts)-1] {
			if !toldOff(attempts[i]) || attempts[i].Extra().RetryAfter > 0 || attempts[i+1].Begin < attempts[i].End {
				break
			}
			if i == len(byRetry) {
				byRetry = append(byRetry, nil)
			}
			byRetry[i] = append(byRetry[i], attempts[i+1].Begin-attempts[i].End)
			end = max(end, attempts[i+1].Begin)
		}
	}
	f.Waits = nil
	late, way := run.Lateness(begin, end), min(hop, cmp.Or(f.way, hop))
	if swamped, _ := run.Swamped(begin, end); swamped > 0 {
		way = end // even the shortest may be longer than what is waited for, by any time
	}
	for _, waits := range byRetry {
		n := len(waits)
		if n < leastWaits {
			break
		}
		slices.Sort(waits)
		low, usual, most, high := waits[0], waits[n/2], waits[n*9/10], waits[n-1]
		slack := 4 * (high - low) / time.Duration(n-1)
		reached := high - late
		if most-low < (high-low)*8/10 {
			reached = min(reached, usual)
		}
		shortest, longest := between(low-way-slack, low+min(early, low/25), n), between(reached-way, high+slack, n)
		f.Waits = append(f.Waits, Wait{shortest, longest, n, inMS(usual)})
	}
}
