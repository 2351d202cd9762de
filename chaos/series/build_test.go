package series

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// A run of two seconds and a bit has three columns, its first and its last second.
func TestShortRun(t *testing.T) {
	r := randomRun(3, []string{"pay"}, []string{"bank"})
	v := r.build(t)
	s := v.Whole
	if s.From != 0 || s.To.Duration() != 2310*time.Millisecond || s.Step != 1 || len(v.Windows) != 0 {
		t.Errorf("from %v to %v by %d, %d windows", s.From, s.To, s.Step, len(v.Windows))
	}
	for i := range 3 {
		if s.Ended[i] != r.ticks[i].Ended || s.Offered[i] != 20 || s.Links[0].Ended[i] != r.ticks[i].Links["bank"].Ended {
			t.Errorf("column %d: %d ended, %d offered; the tick has %+v", i, s.Ended[i], s.Offered[i], r.ticks[i])
		}
	}
	checkColumns(t, r, s, 0, 3)
	if p := v.Phases; len(p) != 1 || p[0].Name != "all" || p[0].Count != r.sum(r.routes, 0, 3).Count() || p[0].To != s.To {
		t.Errorf("phases %+v", p)
	}
}

// A run that ended with a whole second has no empty column behind it, and what the
// closing took does not stretch it.
func TestEndOfRun(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		at      []time.Duration
		end     time.Duration
		columns int
		to      time.Duration
	}{
		{[]time.Duration{1020 * ms, 2050 * ms}, 2000 * ms, 2, 2000 * ms},
		{[]time.Duration{1020 * ms, 1400 * ms}, 1300 * ms, 2, 1400 * ms},
		{[]time.Duration{1020 * ms, 8000 * ms}, 1500 * ms, 2, 2000 * ms}, // targets that were slow to stop
		{[]time.Duration{300 * ms}, 290 * ms, 1, 300 * ms},
		{[]time.Duration{1000 * ms, 4000 * ms, 5000 * ms}, 4990 * ms, 5, 5000 * ms}, // it stood still
		{[]time.Duration{1000 * ms, 4100 * ms}, 4090 * ms, 5, 4100 * ms},            // and at the end
		{[]time.Duration{1000 * ms, 2000 * ms}, 9000 * ms, 2, 2000 * ms},            // the timeline was cut short
	} {
		r := &run{end: row.end}
		for _, at := range row.at {
			r.ticks = append(r.ticks, evidence.Tick{At: at, Ended: 1})
			r.times = append(r.times, nil)
		}
		s := r.build(t).Whole
		if len(s.Ended) != row.columns || s.To.Duration() != row.to || total(s.Ended) != uint64(len(row.at)) || s.Ended[0] != 1 {
			t.Errorf("%v: columns %v to %v, want %d to %v", row.at, s.Ended, s.To, row.columns, row.to)
		}
	}
	if v, err := Build((&run{}).source(t)); v != nil || err != nil {
		t.Errorf("of no second: %v, %v", v, err)
	}
}

// checkColumns compares every column with what its seconds come to.
func checkColumns(t *testing.T, r *run, s *Series, first, seconds int) {
	t.Helper()
	n := (seconds + s.Step - 1) / s.Step
	check := func(what string, p *Percentiles, names []string) {
		for i := range n {
			h := r.sum(names, first+i*s.Step, min(first+(i+1)*s.Step, first+seconds))
			for k, q := range []float64{.5, .99, .999, 1} {
				list := *p.lists()[k]
				switch {
				case len(list) != n:
					t.Fatalf("%s: %d columns, want %d", what, len(list), n)
				case list[i] == nil && h.Count() == 0:
				case list[i] == nil || h.Count() == 0 || *list[i] != millis(h.Quantile(q)):
					t.Fatalf("%s, column %d: quantile %v is %v, want %v", what, i, q, list[i], h.Quantile(q))
				}
			}
		}
	}
	check("all", &s.Response, r.routes)
	for i := range s.Routes {
		check(s.Routes[i].Name, &s.Routes[i].Response, []string{s.Routes[i].Name})
	}
	for i := range s.Links {
		check(s.Links[i].Name, &s.Links[i].Took, []string{s.Links[i].Name})
	}
	for i := range n {
		var ended, bad, errs, lost uint64
		hiccup, least, most, unwell := 0.0, math.Inf(1), 0.0, false
		for k := first + i*s.Step; k < min(first+(i+1)*s.Step, first+seconds); k++ {
			tick := r.ticks[k]
			ended += tick.Ended
			for _, o := range tick.Routes {
				bad += o[load.ServerError]
			}
			lost = max(lost, tick.Lost)
			hiccup = max(hiccup, millis(tick.HiccupMax.Duration()))
			unwell = unwell || k%97 == 96
			for _, l := range r.links[:min(1, len(r.links))] {
				errs += tick.Links[l].Errors
				least, most = min(least, float64(tick.Links[l].InFlight)), max(most, float64(tick.Links[l].InFlight))
			}
		}
		h := &s.Harness
		if s.Ended[i] != ended || s.Outcomes["5xx"][i] != bad || h.Lost[i] != lost || h.Hiccup[i] != hiccup ||
			h.Unwell[i] != unwell || h.Pressure[i] != -1 {
			t.Fatalf("column %d: ended %d (%d), 5xx %d (%d), lost %d (%d), hiccup %v (%v), unwell %v (%v), pressure %v", i,
				s.Ended[i], ended, s.Outcomes["5xx"][i], bad, h.Lost[i], lost, h.Hiccup[i], hiccup, h.Unwell[i], unwell, h.Pressure[i])
		}
		if l := s.Links; len(l) > 0 && (l[0].Errors[i] != errs || l[0].InFlight.Least[i] != least || l[0].InFlight.Most[i] != most) {
			t.Fatalf("column %d: link has %d errors, %v to %v in flight, want %d, %v to %v", i, l[0].Errors[i],
				l[0].InFlight.Least[i], l[0].InFlight.Most[i], errs, least, most)
		}
	}
}

// Columns of several seconds, and windows of one each, are exactly what their seconds
// come to, up to both ends.
func TestColumnsAreTheirSeconds(t *testing.T) {
	r := randomRun(2500, []string{"pay", "browse"}, []string{"bank"})
	spike := hist.New()
	spike.Record(9 * time.Second)
	r.times[1234]["pay"].Merge(spike)
	r.faults = []evidence.Injection{
		fault(0, "bank", 10500*time.Millisecond, 20*time.Second), // the run begins less than 30 s before
		fault(1, "bank", 500*time.Second, 505*time.Second),
		fault(2, "bank", 1000*time.Second, 1500*time.Second), // two windows
		fault(3, "bank", -1, -1),
		fault(4, "bank", 2480*time.Second, -1), // the run ends before 60 s are over
	}
	v := r.build(t)
	if v.Whole.Step != 3 || len(v.Whole.Ended) != 834 {
		t.Fatalf("%d columns of %d s, want 834 of 3", len(v.Whole.Ended), v.Whole.Step)
	}
	checkColumns(t, r, v.Whole, 0, 2500)
	if max := *v.Whole.Routes[0].Response.Max[1234/3]; max < 9000 {
		t.Errorf("the spike of one second is %v ms in its column", max)
	}
	var got []string
	for _, w := range v.Windows {
		s := w.Series
		got = append(got, fmt.Sprintf("%d %v-%v", w.Index, s.From, s.To))
		if s.Step != 1 {
			t.Errorf("window at %v has columns of %d s", s.From, s.Step)
		}
		first := int(s.From.Duration() / time.Second)
		checkColumns(t, r, s, first, int((s.To.Duration()-s.From.Duration()+time.Second-1)/time.Second))
	}
	const want = "0 0s-1m20s, 1 7m50s-9m25s, 2 16m10s-17m40s, 2 24m30s-26m0s, 4 40m50s-41m39.31s"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("windows %s\nwant    %s", text, want)
	}
	var count int64
	for _, p := range v.Phases {
		count += p.Count
	}
	if want := r.sum(r.routes, 0, 2500).Count(); count != want {
		t.Errorf("phases have %d times in all, want %d", count, want)
	}
}

// A log of more than the ticks, in another order or that cannot be read.
func TestLogsThatDoNotFit(t *testing.T) {
	r := randomRun(10, []string{"pay"}, nil)
	s := r.source(t)
	r.ticks = r.ticks[:5] // the timeline's last lines are gone
	v, err := Build(s)
	if err != nil || len(v.Whole.Ended) != 5 || v.Phases[0].Count != r.sum(r.routes, 0, 5).Count() {
		t.Errorf("a longer log: %v, %+v", err, v)
	}
	r = randomRun(10, []string{"pay"}, nil)
	s = r.source(t)
	s.RouteTimes = hist.NewLogReader(strings.NewReader(reversed(string(r.log(t, r.routes))))).Lines()
	if _, err := Build(s); err == nil || !strings.Contains(err.Error(), "disorder") {
		t.Errorf("disorder: %v", err)
	}
	broken := r.source(t)
	broken.RouteTimes = hist.NewLogReader(strings.NewReader("Tag=pay,0,1,0,HISTFAAAA\n")).Lines()
	if _, err := Build(broken); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("not to be decoded: %v", err)
	}
}

func reversed(text string) (back string) {
	for line := range strings.Lines(text) {
		back = line + back
	}
	return back
}

// A day of 500 routes and 60 links: as many columns and rows as there may be, those of
// the most requests, in memory that does not grow with the seconds.
func TestDay(t *testing.T) {
	const seconds = 24 * 3600
	var s Source
	for i := range 500 {
		s.Routes = append(s.Routes, fmt.Sprintf("route-%03d", i))
	}
	for i := range 60 {
		s.Links = append(s.Links, fmt.Sprintf("link-%02d", i))
	}
	for i := range 100 {
		at := time.Duration(i+1) * 800 * time.Second
		s.Faults = append(s.Faults, fault(i, s.Links[i%60], at, at+10*time.Second))
	}
	s.Ticks = syntheticTicks(seconds, s.Routes, s.Links)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := Build(s)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d MiB are kept", grown>>20)
	}
	w := v.Whole
	if w.Step != 72 || len(w.Ended) != MaxColumns || w.To.Duration() != seconds*time.Second || total(w.Ended) != seconds*10 {
		t.Errorf("%d columns of %d s to %v, %d ended", len(w.Ended), w.Step, w.To, total(w.Ended))
	}
	if n := len(w.Routes); n == 0 || n > MaxRoutes || n+w.OtherRoutes != 500 || w.Routes[0].Name < "route-450" {
		t.Errorf("%d routes from %s on, %d others; the last 50 have the most requests", n, w.Routes[0].Name, w.OtherRoutes)
	}
	if n := len(w.Links); n == 0 || n > MaxLinks || n+w.OtherLinks != 60 {
		t.Errorf("%d links, %d others", n, w.OtherLinks)
	}
	if len(v.Windows) != MaxWindows || bytesOf(v) > MaxBytes {
		t.Errorf("%d windows, %d bytes", len(v.Windows), bytesOf(v))
	}
	for _, window := range v.Windows {
		if on := s.Faults[window.Index].On; len(window.Series.Links) > 0 && !hasLink(window.Series, on) {
			t.Errorf("the window of a fault on %s lacks it", on)
		}
	}
}

func hasLink(s *Series, name string) bool {
	for _, l := range s.Links {
		if l.Name == name {
			return true
		}
	}
	return false
}

// syntheticTicks are seconds in which ten requests of few routes end, later routes
// more often; all are one tick in memory.
func syntheticTicks(seconds int, routes, links []string) iter.Seq2[int, *evidence.Tick] {
	return func(yield func(int, *evidence.Tick) bool) {
		tick := &evidence.Tick{Routes: map[string][load.Outcomes]uint64{}, Links: map[string]evidence.LinkTick{}}
		for i := range seconds {
			clear(tick.Routes)
			clear(tick.Links)
			tick.At = time.Duration(i+1) * time.Second
			tick.Offered, tick.Ended = 10, 10
			tick.Routes[routes[i%len(routes)]] = [load.Outcomes]uint64{1}
			tick.Routes[routes[len(routes)-1-i%50]] = [load.Outcomes]uint64{9}
			tick.Links[links[i%len(links)]] = evidence.LinkTick{Ended: 10, InFlight: i % 9}
			if !yield(i, tick) {
				return
			}
		}
	}
}

// BenchmarkBuild is an hour of two routes, their service times beside them, and a
// link: a day takes 24 times as long.
func BenchmarkBuild(b *testing.B) {
	r := randomRun(3600, []string{"pay", "browse"}, []string{"bank"})
	for _, times := range r.times {
		for _, h := range times {
			rng := rand.New(rand.NewPCG(2, 0))
			h.Merge(randomTimes(rng, 100))
		}
	}
	front, behind := r.log(b, r.routes), r.log(b, r.links)
	s := r.source(b)
	b.ReportAllocs()
	for b.Loop() {
		s.RouteTimes = hist.NewLogReader(bytes.NewReader(front)).Lines()
		s.LinkTimes = func(string) iter.Seq2[*hist.LogLine, error] {
			return hist.NewLogReader(bytes.NewReader(behind)).Lines()
		}
		if _, err := Build(s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*24, "s/day")
}
