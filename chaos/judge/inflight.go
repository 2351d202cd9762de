package judge

import (
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// profile is how many exchanges of a link were in progress over time: those that
// had begun less those that had ended.
type profile struct {
	begins, ends []time.Duration // in order
}

// profileOf takes each exchange to have ended trim earlier than it is recorded to;
// those of which nothing is left then are none.
func profileOf(exchanges []evidence.Exchange, trim func(*evidence.Exchange) time.Duration) profile {
	n := 0
	for i := range exchanges {
		if x := &exchanges[i]; x.End-trim(x) > x.Begin {
			n++
		}
	}
	p := profile{make([]time.Duration, 0, n), make([]time.Duration, 0, n)}
	for i := range exchanges {
		if x := &exchanges[i]; x.End-trim(x) > x.Begin {
			p.begins, p.ends = append(p.begins, x.Begin), append(p.ends, x.End-trim(x))
		}
	}
	slices.Sort(p.begins)
	slices.Sort(p.ends)
	return p
}

// profileOver is the profile of all that a link saw, which claims share.
func profileOver(run *evidence.Run, link *evidence.Link, trim trimming) profile {
	type key struct {
		link string
		trim trimming
	}
	return evidence.Memoized(run, key{link.Name, trim}, recordsOf(link.Exchanges),
		func() profile { return profileOf(link.Exchanges, trim.of) })
}

// steps are the moments after one at which some began or ended, and how many were
// in progress from then on. Of what happens at one instant, ends come first: a
// place that is free can be taken.
func (p profile) steps(after time.Duration) iter.Seq2[time.Duration, int] {
	i := sort.Search(len(p.begins), func(i int) bool { return p.begins[i] > after })
	j := sort.Search(len(p.ends), func(j int) bool { return p.ends[j] > after })
	return func(yield func(time.Duration, int) bool) {
		for j < len(p.ends) { // nothing begins after the last has ended
			at := p.ends[j]
			if i < len(p.begins) {
				at = min(at, p.begins[i])
			}
			for ; i < len(p.begins) && p.begins[i] == at; i++ {
			}
			for ; j < len(p.ends) && p.ends[j] == at; j++ {
			}
			if !yield(at, i-j) {
				return
			}
		}
	}
}

// at is how many were in progress at a moment.
func (p profile) at(moment time.Duration) int {
	begun := sort.Search(len(p.begins), func(i int) bool { return p.begins[i] > moment })
	return begun - sort.Search(len(p.ends), func(j int) bool { return p.ends[j] > moment })
}

// most returns the most that were in progress at any moment of [from, to], and
// the first moment of that.
func (p profile) most(from, to time.Duration) (n int, at time.Duration) {
	n, at = p.at(from), from
	for moment, m := range p.steps(from) {
		if moment > to {
			break
		}
		if m > n {
			n, at = m, moment
		}
	}
	return n, at
}

// top is the most that were ever in progress.
func (p profile) top() int {
	n, _ := p.most(-1<<63, 1<<63-1)
	return n
}

// over returns how long more than limit were in progress: the longest stretch,
// and all of them together.
func (p profile) over(limit int) (longest, total time.Duration) {
	var since time.Duration
	over := false
	for at, n := range p.steps(-1 << 63) {
		switch {
		case n > limit && !over:
			over, since = true, at
		case n <= limit && over:
			over, longest, total = false, max(longest, at-since), total+at-since
		}
	}
	return longest, total
}

// level is the most that were in progress at one time for longer than this,
// all such times together.
func (p profile) level(longer time.Duration) int {
	return sort.Search(p.top(), func(n int) bool { _, total := p.over(n); return total <= longer })
}

// lasting is the most that were in progress for longer than this at a stretch.
func (p profile) lasting(longer time.Duration) int {
	return sort.Search(p.top(), func(n int) bool { longest, _ := p.over(n); return longest <= longer })
}

// still reports whether nothing began or ended in [from, to].
func (p profile) still(from, to time.Duration) bool {
	none := func(times []time.Duration) bool {
		i := sort.Search(len(times), func(i int) bool { return times[i] >= from })
		return i == len(times) || times[i] > to
	}
	return none(p.begins) && none(p.ends)
}

// during lists the requests whose exchanges were in progress at a moment.
func during(exchanges []evidence.Exchange, at time.Duration) []uint64 {
	var ids []uint64
	for i := range exchanges {
		if x := &exchanges[i]; x.Begin <= at && x.End > at {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// trimming is by how much earlier exchanges have ended than they are recorded to.
// The zero one takes the ends as they are recorded.
type trimming struct {
	late    bool // by how much later than the caller the relay may have seen the end
	replies bool // of exchanges whose caller was given no response nothing is left
	noise   time.Duration
}

func (t trimming) of(x *evidence.Exchange) time.Duration {
	switch answered := replied(x); {
	case t.replies && !answered:
		return x.Duration()
	case !t.late:
		return 0
	case answered:
		return time.Millisecond // a caller may be done with the head, a write before the last bytes
	}
	return 2 * t.noise // once for the relay and once, among many calls, for what a sampled noise has missed
}

// asSeen takes the ends of exchanges as they are recorded, late as their callers
// may have seen them on a host with this noise.
var asSeen = trimming{}

func late(noise time.Duration) trimming { return trimming{late: true, noise: noise} }

// replied reports whether the caller was given a response. The end of such an
// exchange was stamped before.
func replied(x *evidence.Exchange) bool {
	return x.Ending == evidence.Answered || x.Ending == evidence.Injected
}
