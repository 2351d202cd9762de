package chaos

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// Judge rules on a run directory from what is on disk: right after the run,
// years later, or after a kill -9. The same directory gives the same result.
//
// Each of set, KEY=VALUE like claims[1].breaker.failures=3, changes what is
// claimed before it rules. What the run did cannot be changed any more: another
// key is an error.
func Judge(dir string, set ...string) (*Result, error) {
	for _, s := range set {
		if key, _, _ := strings.Cut(s, "="); key != "claims" && !strings.HasPrefix(key, "claims[") {
			return nil, fmt.Errorf("--set %s: the run has been made, and only its claims can be changed: claims[0].steady.p99=50ms, for one", s)
		}
	}
	if err := begun(dir); err != nil {
		return nil, err
	}
	run, err := evidence.Read(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ExperimentFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	x, err := experiment.Parse(path, text, experiment.Options{Set: set})
	if err != nil {
		return nil, err
	}
	verdicts := verdicts(x, run)
	r := &Result{
		Schema: ResultSchema, Name: run.Name, About: run.About, Seed: run.Seed, Started: run.Started,
		Seconds: run.End.Seconds(), Partial: run.Partial, Stopped: run.Stopped, Dir: dir,
		Verdicts: verdicts, Ruling: worst(verdicts), Missing: judge.Missing(run), Faults: faultResults(run),
	}
	if r.Routes, r.Harness, err = front(dir, run); err != nil {
		return nil, err
	}
	if !r.Harness.Healthy {
		r.Harness.Effect = effect(verdicts)
	}
	follow(x.Load.Routes, r.Routes)
	if x.Load.MaxQueue() != 0 {
		r.Harness.Stalled = x.Load.WhenStalled
	}
	r.Links = behind(run)
	if w := run.Warmup; w != nil {
		r.Warmup = NewWarmup(w.Length.Duration(), w.Outcomes, w.P50.Duration(), w.P99.Duration())
	}
	if run.NotSteady != "" {
		r.Notes = append(r.Notes, "nothing was injected: "+run.NotSteady)
	}
	r.Notes = append(r.Notes, judge.Spared(run)...)
	for _, n := range run.Notes {
		r.Notes = append(r.Notes, fmt.Sprintf("%.1fs %s", n.At.Seconds(), n.Text))
	}
	return r, nil
}

// verdicts rules on the claims of a run, for which the faults must have done
// their part.
func verdicts(x *experiment.Experiment, run *evidence.Run) []judge.Verdict {
	var all []judge.Verdict
	missing := judge.Missing(run)
	for _, c := range x.Claims {
		v := c.Judge().Judge(run).Lacking(missing)
		switch {
		case run.NotSteady == "":
		case c.Steady == nil:
			v = judge.Verdict{Claim: v.Claim, Kind: v.Kind, Ruling: judge.Inconclusive,
				Reason: "nothing was injected, because the steady state was not confirmed"}
		case v.Ruling == judge.Held: // what came to light later does not make it confirmed when it had to be
			v = v.Lacking([]string{"nothing was injected, because it was not confirmed when faults were due: " + run.NotSteady})
		}
		all = append(all, v)
	}
	return all
}

// worst is the ruling on the whole: without a claim nothing was shown.
func worst(verdicts []judge.Verdict) judge.Ruling {
	if len(verdicts) == 0 {
		return judge.Inconclusive
	}
	w := judge.Held
	for _, v := range verdicts {
		w = max(w, v.Ruling)
	}
	return w
}

// effect says what rulings came of a run whose harness was not well: "of 3 claims
// 1 stands all the same, 1 is inconclusive, 1 is refuted".
func effect(verdicts []judge.Verdict) string {
	var count [judge.Refuted + 1]int
	for _, v := range verdicts {
		count[v.Ruling]++
	}
	var parts []string
	for ruling, words := range [...][2]string{{"stands all the same", "stand all the same"}, {"is inconclusive", "are inconclusive"}, {"is refuted", "are refuted"}} {
		switch n := count[ruling]; {
		case n == 1:
			parts = append(parts, "1 "+words[0])
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, words[1]))
		}
	}
	switch len(verdicts) {
	case 0:
		return "there is no claim that it could bear on"
	case 1:
		return "the claim " + strings.TrimPrefix(parts[0], "1 ")
	}
	return fmt.Sprintf("of %d claims %s", len(verdicts), strings.Join(parts, ", "))
}

// front is what the callers saw and how the harness did, from the histogram
// log and the ticks: both are there for a run of any length.
func front(dir string, run *evidence.Run) ([]RouteResult, Harness, error) {
	log, err := readLog(filepath.Join(dir, frontLog))
	if err != nil {
		return nil, Harness{}, err
	}
	h := Harness{Steal: -1, Pressure: -1, SendLag: NewSpread(log[lagTag])}
	counts := map[string][load.Outcomes]uint64{}
	var steal float64
	var before time.Duration
	for _, t := range run.Ticks {
		part := float64(t.At-before) / float64(max(1, run.Ticks[len(run.Ticks)-1].At))
		before = t.At
		h.Unsent += t.Unsent
		h.Sent += t.Ended
		h.Steps += t.Steps
		h.HiccupP99 = max(h.HiccupP99, ms(t.HiccupP99.Duration()))
		h.HiccupMax = max(h.HiccupMax, ms(t.HiccupMax.Duration()))
		h.CPU += t.CPU * part
		steal += t.Steal * part
		h.Pressure = max(h.Pressure, t.Pressure)
		for route, outcomes := range t.Routes {
			sum := counts[route]
			for i, n := range outcomes {
				sum[i] += n
			}
			counts[route] = sum
		}
	}
	h.Offered = h.Sent + h.Unsent // each arrival that was due is one of the two
	if len(run.Ticks) > 0 && steal >= 0 {
		h.Steal = steal
	}
	for _, n := range run.Lost {
		h.Lost += n
	}
	h.Problems = load.Texts(run.Problems(0, run.End))
	h.Healthy = len(h.Problems) == 0

	var routes []RouteResult
	for _, name := range run.Routes {
		r := RouteResult{Name: name, Outcomes: map[string]uint64{}, Response: NewSpread(log[name]), Service: NewSpread(log[name+serviceSuffix])}
		for outcome, n := range counts[name] {
			r.Requests += n
			if n > 0 {
				r.Outcomes[load.Outcome(outcome).String()] = n
			}
		}
		if r.Requests > 0 {
			r.Success = 100 * float64(counts[name][load.OK]) / float64(r.Requests)
		}
		routes = append(routes, r)
	}
	return routes, h, nil
}

// follow tells the steps among results what they follow. Both lists are in the
// order of the experiment, each route with its steps behind it.
func follow(routes []experiment.Route, results []RouteResult) {
	i := 0
	for _, r := range routes {
		for step := range r.Then {
			if at := i + step + 1; at < len(results) {
				results[at].Follows = results[at-1].Name
			}
		}
		i += 1 + len(r.Then)
	}
}

// behind is what each link saw.
func behind(run *evidence.Run) []LinkResult {
	var links []LinkResult
	for _, name := range sorted(run.Links) {
		l := run.Links[name]
		r := LinkResult{Name: name, From: l.From, To: l.To, Exchanges: uint64(len(l.Exchanges)),
			Endings: map[string]uint64{}, Statuses: map[string]uint64{}}
		durations := make([]time.Duration, 0, len(l.Exchanges))
		endings, statuses := map[evidence.Ending]uint64{}, map[int]uint64{}
		for i := range l.Exchanges {
			x := &l.Exchanges[i]
			endings[x.Ending]++
			statuses[x.Status]++
			r.InFlight = max(r.InFlight, x.InFlight)
			durations = append(durations, x.Duration())
		}
		for ending, n := range endings {
			r.Endings[ending.String()] += n
		}
		for status, n := range statuses {
			if status != 0 {
				r.Statuses[strconv.Itoa(status)] = n
			}
		}
		r.Duration = exactSpread(durations)
		links = append(links, r)
	}
	return links
}

func faultResults(run *evidence.Run) []FaultResult {
	var faults []FaultResult
	for _, f := range run.Faults {
		r := FaultResult{Name: f.Name, Kind: f.Kind, On: f.On, Injected: seconds(f.Injected), Healed: seconds(f.Healed), Overflow: f.Overflow, Error: f.Error}
		if link := run.Links[f.On]; !f.OnTarget() && f.Kind != "exec" && link != nil {
			for i := range link.Exchanges {
				if link.Exchanges[i].HitBy(f.Index) {
					r.Hit++
				}
			}
			r.Hit = max(r.Hit, f.Hit)
		} else if f.Injected >= 0 {
			r.Hit = 1
		}
		faults = append(faults, r)
	}
	return faults
}

func seconds(t time.Duration) float64 {
	if t < 0 {
		return -1
	}
	return t.Seconds()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// NewSpread is the distribution in h; zero for nil.
func NewSpread(h *hist.Histogram) Spread {
	if h == nil {
		return Spread{}
	}
	s := h.Summary()
	return Spread{P50: ms(s.P50), P90: ms(s.P90), P99: ms(s.P99), P999: ms(s.P999), Max: ms(s.Max)}
}

// exactSpread sorts d.
func exactSpread(d []time.Duration) Spread {
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	at := func(q float64) float64 { return ms(d[max(0, int(math.Ceil(q*float64(len(d))))-1)]) }
	return Spread{P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: ms(d[len(d)-1])}
}

func readLog(path string) (map[string]*hist.Histogram, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil // killed before the first interval
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	log, err := hist.ReadLog(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return log.Histograms, nil
}
