package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// shown are the exhibits of a kind.
func shown(v Verdict, kind string) (all []Exhibit) {
	for _, e := range v.Exhibits {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// one is the exhibit of a kind, of which there must be one.
func one(t *testing.T, v Verdict, kind string) Exhibit {
	t.Helper()
	all := shown(v, kind)
	if len(all) != 1 {
		t.Fatalf("%s: %d exhibits are %s, want 1: %+v", v.Claim, len(all), kind, v.Exhibits)
	}
	return all[0]
}

// Each claim about a sound run shows what proves it, within the bounds, and what it shows
// goes through a file unchanged.
func TestEveryClaimShowsSomething(t *testing.T) {
	kinds := map[string][]string{
		"steady": {KindGrowth, KindGrowth}, "unsteady": {KindGrowth}, "limit": {KindLevel}, "bulkhead": {KindLevel}, "exhausted": {KindLevel},
		"timeout": {KindGrowth, KindStaircase}, "recovery": {KindGrowth}, "breaker": {KindStates, KindStaircase},
		"retry": {KindAttempts, KindStaircase}, "backoff": {KindWaits, KindStaircase}, "fanout": {KindStaircase}, "stands": {KindStaircase},
		"effects": {KindStaircase}, "shed": {KindGrowth}, "health": {KindGrowth, KindGrowth, KindGrowth}, "skew": {KindGrowth}, "growth": {KindGrowth}, "alert": {KindGrowth}, "slo": {KindGrowth},
	}
	for name, s := range sounds() {
		v := s.claim.Judge(s.run)
		var got []string
		for _, e := range v.Exhibits {
			got = append(got, e.Kind)
			wellFormed(t, name, v, e)
			t.Logf("%s, %s of %q: %s", name, e.Kind, e.Part, e.Title)
		}
		if diff := cmp.Diff(kinds[name], got); diff != "" {
			t.Errorf("%s (%s): exhibits (-want +got):\n%s", name, v.Ruling, diff)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var back Verdict
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, _ := json.Marshal(back); string(again) != string(text) {
			t.Errorf("%s: read and written again it is\n%s\nwant\n%s", name, again, text)
		}
	}
}

// wellFormed checks what is true of any exhibit.
func wellFormed(t *testing.T, name string, v Verdict, e Exhibit) {
	t.Helper()
	fields := reflect.ValueOf(e)
	for i := range fields.NumField() {
		f := fields.Field(i)
		if f.Kind() != reflect.Pointer {
			continue
		}
		if key, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ","); f.IsNil() == (key == e.Kind) {
			t.Errorf("%s: an exhibit that is %s has %s: %v", name, e.Kind, key, !f.IsNil())
		}
	}
	if e.Title == "" || e.Part != "" && partOf(v, e.Part) == nil {
		t.Errorf("%s: the exhibit %q is about part %q of %+v", name, e.Title, e.Part, v.Parts)
	}
	noNull(t, name, reflect.ValueOf(e))
	large := 0
	switch {
	case e.States != nil:
		large = len(e.States.Spans) - MaxSpans
	case e.Waits != nil:
		large = len(e.Waits.Retries) - MaxRanks
		for _, w := range e.Waits.Retries {
			large = max(large, len(w.Bins)-MaxBins)
		}
	case e.Level != nil:
		large = len(e.Level.Most) - MaxPoints
	case e.Attempts != nil:
		large = len(e.Attempts.Requests) - MaxBins
	case e.Growth != nil:
		large = len(e.Growth.Points) - MaxSamples
	case e.Staircase != nil:
		large = len(e.Staircase.Requests) - MaxStaircase
		for _, r := range e.Staircase.Requests {
			large = max(large, len(r.Steps)-MaxSteps)
		}
	}
	if large > 0 {
		t.Errorf("%s: %s has %d more than it may", name, e.Kind, large)
	}
}

// noNull checks that lists that are always written are lists.
func noNull(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			noNull(t, name, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			noNull(t, name, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if v.Field(i).Kind() == reflect.Slice && v.Field(i).IsNil() && !strings.Contains(f.Tag.Get("json"), "omitempty") {
				t.Errorf("%s: %s.%s is null", name, v.Type(), f.Name)
			}
			noNull(t, name, v.Field(i))
		}
	}
}

// Whatever is in the records, what is shown is within bounds and can be written. What is
// ruled on in passing has the same verdict and shows nothing.
func TestExhibitsOfOddEvidence(t *testing.T) {
	claims := append(callClaims(), protects, Timeout{Link: "payments", Within: 10 * ms}, Recovery{Within: time.Second},
		Steady{Success: 0.5, P50: ms, P99: 2 * ms})
	count := 0
	for seed := uint64(0); seed < 100; seed++ {
		run := oddRun(rand.New(rand.NewPCG(seed, 0)))
		for _, c := range claims {
			run.Brief = false
			v := c.Judge(run)
			count += len(v.Exhibits)
			for _, e := range v.Exhibits {
				noNull(t, fmt.Sprintf("seed %d, %s", seed, c), reflect.ValueOf(e))
			}
			if _, err := json.Marshal(v); err != nil {
				t.Fatalf("seed %d, %s: %v", seed, c, err)
			}
			run.Brief = true
			brief := c.Judge(run)
			if len(brief.Exhibits) > 0 {
				t.Errorf("seed %d, %s: in passing it shows %+v", seed, c, brief.Exhibits)
			}
			v.Exhibits = nil
			if diff := cmp.Diff(v, brief); diff != "" {
				t.Errorf("seed %d, %s: in passing it is ruled on differently (-shown +in passing):\n%s", seed, c, diff)
			}
		}
	}
	if count < 300 {
		t.Errorf("%d exhibits of 100 runs", count)
	}
}

// The states are those that the breaker of the model was in: it waits 1.5 s, lets one
// call through, whose failure opens it again.
func TestStatesOfABreaker(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		run := sound(seed).play()
		s := one(t, protects.Judge(run), KindStates).States
		at, calls, open, opened, since := evidence.Seconds(0), 0, 0, evidence.Seconds(0), ""
		for i, span := range s.Spans {
			if span.From != at || span.To <= span.From {
				t.Errorf("seed %d: span %d goes from %s to %s, the one before to %s", seed, i, span.From, span.To, at)
			}
			if span.State == since {
				t.Errorf("seed %d: spans %d and %d are both %s", seed, i-1, i, since)
			}
			at, since, calls = span.To, span.State, calls+span.Calls
			switch span.State {
			case StateOpen:
				if open++; open == 1 {
					opened = span.From
				}
				// Requests that were on their way when it opened may make their calls after.
				if took := (span.To - span.From).Duration(); took < 1400*ms || took > 1700*ms || span.Calls > 12 {
					t.Errorf("seed %d: open from %s to %s with %d calls, want 1.5 s and none", seed, span.From, span.To, span.Calls)
				}
			case StateHalfOpen:
				if took := (span.To - span.From).Duration(); took > 400*ms || span.Calls < 1 || took < 80*ms && span.To < evidence.Seconds(9*time.Second) {
					t.Errorf("seed %d: half-open from %s to %s with %d calls, want one that takes 100 ms", seed, span.From, span.To, span.Calls)
				}
			}
		}
		if at != evidence.Seconds(run.End) || calls == 0 || since != StateClosed {
			t.Errorf("seed %d: it goes up to %s of %s, ends %s and has %d calls", seed, at, run.End, since, calls)
		}
		// 4 s + 5 failures; the third wait is over at about 4.1 + 3 · 1.6 s, when 503s end at 9 s.
		if open < 3 || open > 4 || opened < evidence.Seconds(4*time.Second) || opened > evidence.Seconds(4500*ms) {
			t.Errorf("seed %d: open %d times, first at %s: %+v", seed, open, opened, s.Spans)
		}
	}
}

// A breaker that calls while it turns requests away is open, and its calls are told.
func TestStatesOfALeakyBreaker(t *testing.T) {
	w := sound(1)
	w.breaker.leak = 0.3
	e := one(t, protects.Judge(w.play()), KindStates)
	if !strings.Contains(e.Title, "let through while it was open") {
		t.Errorf("it says %q", e.Title)
	}
	for _, s := range e.States.Spans {
		if s.State == StateOpen && s.Calls == 0 && s.To-s.From > evidence.Seconds(time.Second) {
			t.Errorf("open from %s to %s without a call", s.From, s.To)
		}
	}
}

// What a claim says of the whole is what its exhibit says: the steady state counts what had
// ended when the first fault came.
func TestSteadyExhibitsAreOfWhatIsRuledOn(t *testing.T) {
	s := sounds()["steady"]
	run := copied(s.run)
	for i := range run.Samples { // what was under way then failed
		if x := &run.Samples[i]; x.Intended < run.Faults[0].Injected && x.Done > run.Faults[0].Injected-5*ms {
			x.Done, x.Outcome = x.Intended+3*time.Second, load.TimedOut
		}
	}
	v := s.claim.Judge(run)
	if n := len(shown(v, KindGrowth)); n != 2 {
		t.Fatalf("%d exhibits", n)
	}
	for _, e := range shown(v, KindGrowth) {
		p := partOf(v, e.Part)
		if math.Abs(e.Growth.At0-p.Seen.High) > 1e-9 || p.Ruling != Held {
			t.Errorf("%s is at %g, and %v was ruled on: %s", e.Growth.Of, e.Growth.At0, *p.Seen, p.Reason)
		}
		for _, y := range e.Growth.Points {
			if e.Part == "success" && y.Y < 100 || y.At > evidence.Seconds(2*time.Second) {
				t.Errorf("%s: %g at %s", e.Growth.Of, y.Y, y.At)
			}
		}
	}
}

// Stretches lie between from and to; a short one at the end belongs to the one before.
func TestStretches(t *testing.T) {
	var front []load.Sample
	for at := time.Duration(0); at < 1100*ms; at += 10 * ms {
		front = append(front, load.Sample{Intended: at})
	}
	count := func(part arrivals) (float64, bool) { return float64(part.len()), true }
	for _, row := range []struct {
		from, to time.Duration
		want     []float64
	}{
		{0, 300 * ms, []float64{10, 10, 10}},
		{100 * ms, 340 * ms, []float64{10, 14}},
		{100 * ms, 360 * ms, []float64{10, 10, 6}},
		{0, 40 * ms, []float64{4}},
		{1000 * ms, 1500 * ms, []float64{10}}, // none came after
		{2000 * ms, 1000 * ms, nil},
	} {
		var got []float64
		for _, p := range (stretching{row.from, row.to, 100 * ms}).points(every(front), dueAt, count) {
			got = append(got, p.Y)
			if p.At.Duration() < row.from || p.At.Duration() > row.to {
				t.Errorf("%s to %s: a point at %s", row.from, row.to, p.At)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s to %s: %v, want %v", row.from, row.to, got, row.want)
		}
	}
}

// Beyond MaxSpans spans are counted, and those that follow each other in one state are one.
func TestLane(t *testing.T) {
	run := sound(1).play()
	traffic, why := trafficOf(run, "payments", "pay")
	if why != "" {
		t.Fatal(why)
	}
	l := lane{t: traffic}
	for i := range 2*MaxSpans + 10 { // two steps of each state
		l.until(time.Duration(i+1)*10*ms, []string{StateClosed, StateOpen}[i/2%2])
	}
	if got := len(l.states.Spans); got != MaxSpans || l.states.More != 5 || l.at != (2*MaxSpans+10)*10*ms {
		t.Errorf("%d spans and %d more up to %s, want %d and 5", got, l.states.More, l.at, MaxSpans)
	}
	if first := l.states.Spans[0]; first.To != evidence.Seconds(20*ms) {
		t.Errorf("the first span is %+v, want both steps of it", first)
	}
}

// Each wait is in the bin that it belongs to or is counted as longer, and the law is the
// declared one.
func TestWaitsAreAllCounted(t *testing.T) {
	s := backingOff()
	s.seed = 1
	claim := Backoff{Link: "payments", Route: "pay", Base: 100 * ms, Jitter: 0.5}
	v := claim.Judge(s.run())
	w := one(t, v, KindWaits).Waits
	if len(w.Retries) != 4 {
		t.Fatalf("%d retries, want 4: %+v", len(w.Retries), w.Retries)
	}
	for i, r := range w.Retries {
		sum, lower := r.Longer, 100*float64(int(1)<<i)
		for k, bin := range r.Bins {
			sum += bin.Count
			if k > 0 && bin.From != r.Bins[k-1].To {
				t.Errorf("retry %d: bin %d begins at %g, the one before ends at %g", r.Retry, k, bin.From, r.Bins[k-1].To)
			}
			if bin.Count > 0 && (bin.To <= lower || bin.From > 1.5*lower+60) {
				t.Errorf("retry %d: %d waits of %g to %g ms, want %g to %g", r.Retry, bin.Count, bin.From, bin.To, lower, 1.5*lower)
			}
		}
		if want := (Bound{lower, 1.5 * lower}); sum != r.Sample || r.Retry != i+1 || *r.Allowed != want {
			t.Errorf("retry %d: %d waits in bins of %d, allowed %v, want %v", r.Retry, sum, r.Sample, *r.Allowed, want)
		}
		if r.Median < 1.2*lower || r.Median > 1.4*lower {
			t.Errorf("retry %d: half of the waits take %g ms, want about %g", r.Retry, r.Median, 1.25*lower)
		}
	}
}

// A histogram has at most MaxBins of a round width, whatever the waits are.
func TestHistogram(t *testing.T) {
	of := func(gaps ...time.Duration) (all []wait) {
		for _, gap := range gaps {
			all = append(all, wait{after: &evidence.Exchange{End: time.Second}, begin: time.Second + gap})
		}
		return all
	}
	for _, row := range []struct {
		name                string
		gaps                []time.Duration
		half, upper, least  time.Duration
		width, first        float64
		bins, longer, inOne int
	}{
		// 100.0 to 149.9 ms: of 0.5 ms it takes 100 bins, of 1 ms 50.
		{"fifty milliseconds", []time.Duration{100 * ms, 100 * ms, 149*ms + 900*time.Microsecond}, 100 * ms, 150 * ms, 0, 1, 100, 50, 0, 2},
		{"all alike", []time.Duration{7 * ms, 7 * ms}, 7 * ms, 7 * ms, 0, 0.1, 7, 1, 0, 2},
		// Up to 4 times half: 40 ms. A wait of 10 s is a stray.
		{"a stray", []time.Duration{10 * ms, 10 * ms, 10 * time.Second}, 10 * ms, 10 * ms, 0, 1, 10, 31, 1, 2},
		{"none waits", []time.Duration{0, 0, -ms}, 0, 100 * ms, 0, 0.1, 0, 1, 0, 3},
		{"a herd", []time.Duration{100 * ms, 109 * ms, 110 * ms}, 109 * ms, 150 * ms, 10 * ms, 10, 100, 2, 0, 2},
		{"beyond reason", []time.Duration{1, 1 << 62}, 1 << 62, 1 << 62, 0, 1e11, 0, 47, 0, 1},
	} {
		w := histogramOf(of(row.gaps...), 1, row.half, 0, row.upper, row.least)
		if len(w.Bins) == 0 || len(w.Bins) > MaxBins {
			t.Errorf("%s: %d bins", row.name, len(w.Bins))
			continue
		}
		b := w.Bins[0]
		got := []float64{b.To - b.From, b.From, float64(len(w.Bins)), float64(w.Longer), float64(b.Count)}
		want := []float64{row.width, row.first, float64(row.bins), float64(row.longer), float64(row.inOne)}
		for i := range got {
			if diff := got[i] - want[i]; diff > 1e-6*want[i]+1e-9 || -diff > 1e-6*want[i]+1e-9 {
				t.Errorf("%s: width, begin, bins, longer, in the first: %v, want %v", row.name, got, want)
				break
			}
		}
	}
}

// The level of each step is the most that were in flight at any moment of it.
func TestLevelIsTheMostOfEachStep(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		link := &evidence.Link{Name: "payments"}
		run := &evidence.Run{End: 3 * time.Second, Links: map[string]*evidence.Link{"payments": link}}
		for range 60 { // in steps of 25 ms, so that some begin and end at the edge of a step
			begin := time.Duration(rng.IntN(130)) * 25 * ms
			link.Exchanges = append(link.Exchanges, evidence.Exchange{Begin: begin, End: begin + time.Duration(1+rng.IntN(20))*25*ms})
		}
		slices.SortFunc(link.Exchanges, func(a, b evidence.Exchange) int { return int(a.Begin - b.Begin) })
		got := levelOf(run, link, 0).Level
		if got.Step != evidence.Seconds(100*ms) || len(got.Most) != 31 {
			t.Fatalf("%d steps of %s", len(got.Most), got.Step)
		}
		for i, most := range got.Most {
			want := 0
			for at := time.Duration(i) * 100 * ms; at < time.Duration(i+1)*100*ms; at += 25 * ms {
				n := 0
				for _, x := range link.Exchanges {
					if x.Begin <= at && x.End > at {
						n++
					}
				}
				want = max(want, n)
			}
			if most != want {
				t.Fatalf("seed %d: %d in flight from %d ms on, want %d", seed, most, 100*i, want)
			}
		}
	}
	long := &evidence.Run{End: 24 * time.Hour}
	if l := levelOf(long, &evidence.Link{Name: "payments"}, 0).Level; len(l.Most) > MaxPoints || l.Step != evidence.Seconds(100*time.Second) {
		t.Errorf("a day has %d steps of %s", len(l.Most), l.Step)
	}
}

// Calls are counted by their attempts, those with very many together.
func TestAttemptsAreCounted(t *testing.T) {
	all := &calls{hidden: map[int]int32{}}
	for n, times := range map[int]int{1: 5, 3: 2, MaxBins: 1, MaxBins + 1: 3} {
		for range times {
			all.add(make([]int32, n), 0)
		}
	}
	a := attemptCounts(all, "payments", "attempts", nil).Attempts
	want := make([]int, MaxBins)
	want[0], want[2], want[MaxBins-1] = 5, 2, 1
	if !slices.Equal(a.Requests, want) || a.More != 3 || a.PerCall != float64(5+6+MaxBins+3*(MaxBins+1))/11 {
		t.Errorf("%v and %d more, %g per call", a.Requests, a.More, a.PerCall)
	}
}

// What refutes is followed through every link of the run, with the faults that hit.
func TestStaircaseJoinsFrontAndBehind(t *testing.T) {
	s := retrying()
	s.seed = 1
	run := s.run()
	claim := retryClaim()
	claim.Attempts = 2
	v := claim.Judge(run)
	e := one(t, v, KindStaircase)
	if v.Ruling != Refuted || e.Part != "attempts" || len(e.Staircase.Requests) != MaxStaircase || !strings.Contains(e.Title, "2 claimed") {
		t.Fatalf("%s: %d requests about %q: %s", v.Ruling, len(e.Staircase.Requests), e.Part, e.Title)
	}
	for _, r := range e.Staircase.Requests {
		sample, _ := run.Sample(r.ID)
		if !slices.Contains(v.IDs, r.ID) || r.Sent.Duration() != sample.Sent || r.Done.Duration() != sample.Done || r.Outcome != sample.Outcome.String() {
			t.Errorf("request %d is shown as %+v", r.ID, r)
		}
		if len(r.Steps) != len(run.Links["payments"].CausedBy(r.ID)) || len(r.Steps) < 3 {
			t.Errorf("request %d has %d steps", r.ID, len(r.Steps))
		}
		for i, step := range r.Steps {
			if i > 0 && step.Begin < r.Steps[i-1].Begin || step.Begin < r.Sent || i == 0 && !slices.Equal(step.Faults, []string{run.Faults[0].Name}) {
				t.Errorf("request %d, step %d: %+v", r.ID, i, step)
			}
		}
	}
}

// Steps beyond MaxSteps are counted, requests without a record are left out, and several parts
// take turns.
func TestStaircaseIsBounded(t *testing.T) {
	link := &evidence.Link{Name: "b"}
	for i := range MaxSteps + 3 {
		link.Exchanges = append(link.Exchanges, evidence.Exchange{ID: 7, Begin: time.Duration(i) * ms})
	}
	other := &evidence.Link{Name: "a", Exchanges: []evidence.Exchange{{ID: 7, Begin: 2 * ms}}}
	run := &evidence.Run{Routes: []string{"pay"}, Samples: []load.Sample{{ID: 7}}, Links: map[string]*evidence.Link{"a": other, "b": link, "c": nil}}
	e := staircase(run, example{ids: []uint64{3, 7}})
	r := e.Staircase.Requests[0]
	if len(e.Staircase.Requests) != 1 || len(r.Steps) != MaxSteps || r.More != 4 || r.Steps[2].Link != "a" || r.Steps[3].Link != "b" {
		t.Errorf("%+v", e.Staircase)
	}
	f := &finding{run: run, parts: []Part{
		{Name: "x", Ruling: Refuted, IDs: []uint64{1, 2, 3, 4, 5, 6}, Reason: "too many"}, {Name: "y", Ruling: Refuted, IDs: []uint64{2, 9}},
		{Name: "z", IDs: []uint64{30}}}}
	if got := f.refuting(); !slices.Equal(got.ids, []uint64{1, 2, 9, 3, 4}) || got.part != "" || got.title != "too many" {
		t.Errorf("of two parts %+v is shown", got)
	}
}

// Goodput over time is what it is before the fault, low while it is in force, and back after.
func TestGoodputOverTime(t *testing.T) {
	run := failing(1).play()
	v := Recovery{Route: "pay", Within: 2 * time.Second}.Judge(run)
	g := one(t, v, KindGrowth).Growth
	if g.Unit != "pct" || g.Slope != 0 || g.At0 < 99 || g.Allowed.Low != 0.95*g.At0 {
		t.Errorf("%s in %s from %g by %g, allowed %v", g.Of, g.Unit, g.At0, g.Slope, *g.Allowed)
	}
	from, to := evidence.Seconds(run.Faults[0].Injected), evidence.Seconds(run.Faults[0].Healed)
	low, sum := 0, 0
	for _, p := range g.Points {
		if p.Y < 50 {
			low++
			if p.At < from || p.At > to+evidence.Seconds(2*time.Second) {
				t.Errorf("%g%% at %s, when no fault was in force", p.Y, p.At)
			}
		}
		sum++
	}
	if length := int(run.End / (250 * ms)); sum < length-1 || sum > length+1 || low < 4 {
		t.Errorf("%d points of %s, %d of them low", sum, run.End, low)
	}
}
