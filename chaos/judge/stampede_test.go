package judge

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// hotKey is a model of a cache in front of an origin that takes 200 ms: requests for
// one value come at a rate for 10 s, and it is fresh for 2 s.
type hotKey struct {
	seed   uint64
	rate   int
	fill   string // coalesce, aside or early
	extra  int    // so many fetches more, in one period
	keys   int    // values that take turns; 0 is one
	fails  int    // so many first fetches fail
	dotted bool   // the fetches of a stampede do not overlap
}

const (
	hotTTL   = 2 * time.Second
	hotFetch = 200 * ms
	hotEnd   = 11 * time.Second
)

func (w hotKey) run() *evidence.Run {
	rng := rand.New(rand.NewPCG(w.seed, 5))
	link := &evidence.Link{Name: "origin", From: "cache", To: "store"}
	run := &evidence.Run{Routes: []string{"get"}, Links: map[string]*evidence.Link{"origin": link}, End: hotEnd}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	keys := max(w.keys, 1)
	filled := make([]time.Duration, keys) // when the fetch that began the period ends
	fresh := make([]time.Duration, keys)  // until when each is
	step := time.Second / time.Duration(w.rate)
	id := uint64(0)
	for at := time.Duration(0); at < hotEnd; at += step {
		id++
		k := int(id) % keys
		s := load.Sample{ID: id, Intended: at, Sent: at, Done: at + ms, Status: 200}
		fetches := false
		switch {
		case at < filled[k]: // somebody is at it
			if fetches = w.fill != "coalesce"; !fetches {
				s.Done = filled[k] + ms
			}
		case at < fresh[k]:
			fetches = w.fill == "early" && fresh[k]-at < 300*ms && rng.IntN(20) == 0
		default:
			fetches, filled[k] = true, at+hotFetch
		}
		if fetches {
			x := evidence.Exchange{ID: id, Begin: at + ms, End: at + hotFetch, Method: "GET", Path: fmt.Sprintf("/value/%d", k), Status: 200}
			if w.fails > 0 {
				w.fails--
				x.Status = 503
			} else {
				fresh[k] = x.End + hotTTL + ms
			}
			s.Done = x.End + ms
			link.Exchanges = append(link.Exchanges, x)
		}
		run.Samples = append(run.Samples, s)
	}
	for i := range w.extra { // in the second period, one after another or all at once
		second := link.Exchanges[min(keys, len(link.Exchanges)-1)]
		if i%2 == 0 && !w.dotted {
			second.Begin += time.Duration(i+1) * ms
		} else {
			second.Begin, second.End = second.End+time.Duration(i+1)*250*ms, second.End+time.Duration(i+1)*250*ms+hotFetch
		}
		link.Exchanges = append(link.Exchanges, second)
	}
	slices.SortFunc(link.Exchanges, func(a, b evidence.Exchange) int { return int(a.Begin - b.Begin) })
	return run
}

func TestStampede(t *testing.T) {
	one := Stampede{AtOnce: 1, PerExpiry: 1}
	tests := []struct {
		name  string
		world hotKey
		claim Stampede
		want  Ruling
		why   string
	}{
		{"coalesced", hotKey{rate: 100, fill: "coalesce"}, one, Held, "1 fetch of /value/0 in the period"},
		{"each by itself", hotKey{rate: 100, fill: "aside"}, Stampede{PerExpiry: 1}, Refuted, "20 fetches of /value/0 in the period"},
		{"each by itself, at once", hotKey{rate: 100, fill: "aside"}, Stampede{AtOnce: 19}, Refuted, "20 fetches of /value/0 at once"},
		{"as declared", hotKey{rate: 100, fill: "aside"}, Stampede{AtOnce: 20, PerExpiry: 20}, Held, ""},
		{"one more, at once", hotKey{rate: 100, fill: "coalesce", extra: 1}, one, Refuted, "2 fetches of /value/0 at once"},
		{"one more, behind", hotKey{rate: 100, fill: "coalesce", extra: 1, dotted: true}, one, Refuted, "2 fetches of /value/0 in the period"},
		{"one more of one value", hotKey{rate: 400, fill: "coalesce", keys: 4, extra: 1}, one, Refuted, ""},
		{"many values", hotKey{rate: 400, fill: "coalesce", keys: 4}, one, Held, ""},
		{"cold", hotKey{rate: 100, fill: "aside"}, Stampede{ColdStart: 19}, Refuted, "20 fetches of /value/0 when it was not there yet"},
		{"cold, as declared", hotKey{rate: 100, fill: "aside"}, Stampede{ColdStart: 20}, Held, ""},
		{"nobody waits", hotKey{rate: 20, fill: "coalesce"}, one, Inconclusive, "came during the fetch with most"},
		{"nobody waits, and still", hotKey{rate: 20, fill: "coalesce", extra: 1}, one, Refuted, ""},
		{"no calls", hotKey{rate: 100, fill: "coalesce", keys: -1}, one, Inconclusive, "nothing was fetched over origin"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(10) {
				test.world.seed, test.claim.Link, test.claim.TTL = seed, Links{"origin"}, hotTTL
				run := test.world.run()
				if test.world.keys < 0 {
					run.Links["origin"].Exchanges = nil
				}
				v := test.claim.Judge(run)
				if v.Ruling != test.want || !strings.Contains(v.Reason, test.why) {
					t.Fatalf("seed %d: %v: %s", seed, v.Ruling, v.Reason)
				}
			}
		})
	}
}

// A first fetch that fails fills nothing: the next one is no fetch too many by being
// sent, and counts.
func TestStampedeOfFailures(t *testing.T) {
	claim := Stampede{Link: Links{"origin"}, TTL: hotTTL, PerExpiry: 1}
	v := claim.Judge(hotKey{rate: 100, fill: "coalesce", fails: 1}.run())
	if v.Ruling != Held { // that was the cold start
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// What is false is never held.
func TestStampedeLies(t *testing.T) {
	for seed := range uint64(20) {
		for _, fill := range []string{"coalesce", "aside", "early"} {
			run := hotKey{seed: seed, rate: 100, fill: fill}.run()
			values := Stampede{TTL: hotTTL, Per: "path"}.valuesOf(run, run.Links["origin"])
			truth := len(values[0].most())
			for _, lie := range []int{-1, 0, 1} {
				if truth+lie < 1 {
					continue
				}
				v := Stampede{Link: Links{"origin"}, TTL: hotTTL, PerExpiry: truth + lie}.Judge(run)
				if lie < 0 && v.Ruling == Held || lie >= 0 && v.Ruling == Refuted {
					t.Errorf("seed %d %s: %d of %d: %v: %s", seed, fill, truth+lie, truth, v.Ruling, v.Reason)
				}
			}
		}
	}
}

func TestStampedePower(t *testing.T) {
	for ttl, want := range map[time.Duration]int{time.Second: 0, 3 * time.Second: 1} {
		found := Stampede{Link: Links{"origin"}, TTL: ttl, PerExpiry: 1}.Power(Plan{End: 10 * time.Second, Links: map[string]PlannedLink{"origin": {}}})
		if len(found) != want {
			t.Errorf("ttl %v: %+v", ttl, found)
		}
	}
}

// Requests for other values do not wait for the fetch of one: a thousand values that are
// asked for once a second each have no stampede, whatever the cache does.
func TestStampedeIsOfOneValue(t *testing.T) {
	claim := Stampede{Link: Links{"origin"}, TTL: hotTTL, AtOnce: 1, PerExpiry: 1}
	rare := hotKey{rate: 1000, fill: "aside", keys: 1000}.run()
	if v := claim.Judge(rare); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "1000 values") {
		t.Errorf("rare values: %v, %s", v.Ruling, v.Reason)
	}
	hot := hotKey{rate: 100, fill: "coalesce"}.run() // and rare ones by a route of their own
	hot.Routes = append(hot.Routes, "rare")
	n := len(hot.Samples)
	for _, s := range rare.Samples {
		s.ID, s.Route = s.ID+uint64(n), 1
		hot.Samples = append(hot.Samples, s)
	}
	link := hot.Links["origin"]
	for _, x := range rare.Links["origin"].Exchanges {
		x.ID, x.Path = x.ID+uint64(n), "/rare"+x.Path
		link.Exchanges = append(link.Exchanges, x)
	}
	sortByTime(hot, link)
	if v := claim.Judge(hot); v.Ruling != Held {
		t.Errorf("a hot value beside rare ones: %v, %s", v.Ruling, v.Reason)
	}
}

// sortByTime puts the records of a run in the order in which they have to be.
func sortByTime(run *evidence.Run, link *evidence.Link) {
	slices.SortStableFunc(run.Samples, func(a, b load.Sample) int { return cmp.Compare(a.Intended, b.Intended) })
	slices.SortStableFunc(link.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
}
