package series

import (
	"bytes"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// run is a run as it is recorded: its ticks, and the intervals of its logs.
type run struct {
	routes, links []string
	ticks         []evidence.Tick
	times         []map[string]*hist.Histogram // by route or link, of each second
	faults        []evidence.Injection
	proofs        []time.Duration
	end           time.Duration
}

// randomRun has seconds that end as they do: some milliseconds late, the last one
// after a part of a second.
func randomRun(seconds int, routes, links []string) *run {
	r := &run{routes: routes, links: links}
	rng := rand.New(rand.NewPCG(1, uint64(seconds)))
	for i := range seconds {
		at := time.Duration(i+1)*time.Second + time.Duration(rng.IntN(100))*time.Millisecond
		if i == seconds-1 {
			at = time.Duration(i)*time.Second + 310*time.Millisecond
		}
		t := evidence.Tick{At: at, Offered: 20, Routes: map[string][load.Outcomes]uint64{}, Links: map[string]evidence.LinkTick{},
			HiccupMax: evidence.Seconds(rng.IntN(1e6)), Pressure: -1, Lost: uint64(i / 100)}
		times := map[string]*hist.Histogram{}
		for _, name := range routes {
			n := rng.IntN(8)
			var outcomes [load.Outcomes]uint64
			outcomes[load.OK], outcomes[load.ServerError], outcomes[load.Unsent] = uint64(n), uint64(n/3), uint64(n/7)
			t.Routes[name] = outcomes
			t.Ended += uint64(n + n/3)
			t.Unsent += uint64(n / 7)
			times[name] = randomTimes(rng, n+n/3+n/7)
		}
		for _, name := range links {
			n := rng.IntN(5)
			t.Links[name] = evidence.LinkTick{Ended: uint64(n), Errors: uint64(n / 2), InFlight: rng.IntN(7)}
			times[name] = randomTimes(rng, n)
		}
		r.ticks, r.times = append(r.ticks, t), append(r.times, times)
	}
	return r
}

func randomTimes(rng *rand.Rand, n int) *hist.Histogram {
	h := hist.New()
	for range n {
		h.Record(time.Duration(rng.ExpFloat64() * float64(3*time.Millisecond)))
	}
	return h
}

// log is what a recorder writes of some tags.
func (r *run) log(t testing.TB, tags []string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := hist.NewLogWriter(&out, time.Unix(0, 0), "x")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Duration(0)
	for i := range r.ticks {
		var all []hist.Tagged
		for _, tag := range tags {
			if h := r.times[i][tag]; h.Count() > 0 {
				all = append(all, hist.Tagged{Tag: tag, Histogram: h}, hist.Tagged{Tag: tag + "/service", Histogram: h})
			}
		}
		if err := w.Write(from, r.ticks[i].At, all...); err != nil {
			t.Fatal(err)
		}
		from = r.ticks[i].At
	}
	return out.Bytes()
}

func (r *run) source(t testing.TB) Source {
	intervals := func(tags []string) iter.Seq2[*hist.LogLine, error] {
		return hist.NewLogReader(bytes.NewReader(r.log(t, tags))).Lines()
	}
	return Source{
		Routes: r.routes, Links: r.links, Faults: r.faults, Proofs: r.proofs, End: r.end,
		Ticks: func(yield func(int, *evidence.Tick) bool) {
			for i := range r.ticks {
				if tick := r.ticks[i]; !yield(i, &tick) {
					return
				}
			}
		},
		Unwell:     func(i int) bool { return i%97 == 96 },
		RouteTimes: intervals(r.routes),
		LinkTimes:  func(link string) iter.Seq2[*hist.LogLine, error] { return intervals([]string{link}) },
	}
}

func (r *run) build(t testing.TB) *View {
	t.Helper()
	v, err := Build(r.source(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sum is what a route or link came to in some seconds.
func (r *run) sum(names []string, from, to int) *hist.Histogram {
	h := hist.New()
	for i := from; i < min(to, len(r.ticks)); i++ {
		for _, name := range names {
			h.Merge(r.times[i][name])
		}
	}
	return h
}

func total(list []uint64) (sum uint64) {
	for _, n := range list {
		sum += n
	}
	return sum
}

// fault is one that was in force then.
func fault(index int, on string, injected, healed time.Duration) evidence.Injection {
	return evidence.Injection{Index: index, Name: "errors on " + on, On: on, Injected: injected, Healed: healed}
}
