package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Backoff claims that the k-th retry of a call over Link waits
// base·factor^(k−1), at most cap, with jitter. The wait is measured from the
// end of one attempt to the begin of the next, both seen at the link.
//
// The relay stamps the end of an answer before the caller has it and the begin
// of the next attempt after it was sent, so a measured wait is never shorter
// than the real one: too early is exact, and only an attempt that ended
// without an answer gets the host's noise as a margin. A busy host makes waits
// longer and spreads them. So it can hide missing jitter but not make jitter
// go missing, and too late takes a wide margin.
type Backoff struct {
	Link       string        `yaml:"link"`        // The link the calls go over.
	Route      string        `yaml:"route"`       // Judge only calls caused by this route; absent means all.
	Base       time.Duration `yaml:"base"`        // The first wait, without jitter.
	Factor     float64       `yaml:"factor"`      // Growth from one wait to the next; absent means 2.
	Cap        time.Duration `yaml:"cap"`         // Longest wait without jitter; absent means none.
	Jitter     unit.Share    `yaml:"jitter"`      // How far a wait d is spread, as a part of d; absent means none is claimed.
	Law        string        `yaml:"law"`         // add: d to d(1+jitter), the default; spread: d(1−jitter) to d(1+jitter); full: 0 to d.
	RetryAfter bool          `yaml:"retry_after"` // Claims that no retry comes before the Retry-After it was given.
	Herd       float64       `yaml:"herd"`        // When many calls fail at one instant: most retries in any 10 ms, relative to an even spread over the jitter's range; absent is not judged.
}

const (
	leastFirstWaits = 50 // first waits a run must show, and waits to tell jitter from
	leastWaits      = 20 // further waits of one rank to judge them
	leastTold       = 5  // retries after a Retry-After
	leastCohort     = 30 // calls that failed at one instant
)

// slack is what a timer of the caller may be early or two clocks may differ.
func slack(wait time.Duration) time.Duration { return 2*time.Millisecond + wait/100 }

func (c Backoff) String() string {
	law := fmt.Sprintf("%s·%.3g^(k−1)", short(c.Base), c.factor())
	if c.Cap > 0 {
		law += ", at most " + short(c.Cap)
	}
	switch {
	case c.Law == "full":
		law = "0 to " + law
	case c.Jitter > 0 && c.Law == "spread":
		law += ", ±" + c.Jitter.String()
	case c.Jitter > 0:
		law += ", plus 0 to " + c.Jitter.String()
	}
	if c.RetryAfter {
		law += ", never before Retry-After"
	}
	if c.Herd > 0 {
		law += fmt.Sprintf(", herds at most %.3g× even", c.Herd)
	}
	return fmt.Sprintf("backoff of %s over %s: %s", orAll(c.Route), c.Link, law)
}

func (c Backoff) factor() float64 {
	if c.Factor > 0 {
		return c.Factor
	}
	return 2
}

// law returns the range in which the k-th wait must lie, k from 1.
func (c Backoff) law(k int) (lower, upper time.Duration) {
	// In floats, because 2^60 waits do not fit a Duration.
	d := float64(c.Base) * math.Pow(c.factor(), float64(k-1))
	if c.Cap > 0 {
		d = min(d, float64(c.Cap))
	}
	d = min(d, float64(math.MaxInt64/4))
	jitter := min(max(float64(c.Jitter), 0), 1)
	switch c.Law {
	case "full":
		return 0, time.Duration(d)
	case "spread":
		return time.Duration(d * (1 - jitter)), time.Duration(d * (1 + jitter))
	default:
		return time.Duration(d), time.Duration(d * (1 + jitter))
	}
}

// wait is the time between two attempts of one call.
type wait struct {
	id    uint64
	after evidence.Exchange // the attempt that failed
	begin time.Duration     // of the next
	blur  time.Duration     // by how much it may have been longer than measured
}

func (w wait) gap() time.Duration { return w.begin - w.after.End }

// waits are those of one rank: the first, second, ... of their calls.
type waits struct {
	all  []wait
	ends int // calls that failed at this rank as others did before they were retried, and were not
}

func (w waits) gaps() []time.Duration {
	gaps := make([]time.Duration, len(w.all))
	for i, x := range w.all {
		gaps[i] = x.gap()
	}
	return gaps
}

// kept is the share of the calls failed at this rank that were tried again.
// Where callers' deadlines cut calls off, the longer waits are missing.
func (w waits) kept() float64 {
	return float64(len(w.all)) / float64(max(1, len(w.all)+w.ends))
}

// ranks sorts the waits of all calls by their rank. Waits after a Retry-After
// follow that and not the law; libraries begin the law anew behind one
// (cenkalti/backoff/v5 does), so the rest of such a call is left out.
func ranks(calls []call, noise time.Duration, heard hearing) (byRank []waits, told []wait, overlaps int) {
	type failure struct {
		method string
		keyed  bool
		status int
	}
	as := func(x evidence.Exchange) failure { return failure{x.Method, x.Key != 0, came(x)} }
	retried := make(map[failure]bool)
	for _, c := range calls {
		for _, x := range c.attempts[:len(c.attempts)-1] {
			retried[as(x)] = true
		}
	}
	for _, c := range calls {
		for i, x := range c.attempts {
			if succeeded(x) || x.Ending == evidence.Cut {
				break
			}
			for len(byRank) <= i {
				byRank = append(byRank, waits{})
			}
			if i+1 == len(c.attempts) {
				if retried[as(x)] {
					byRank[i].ends++
				}
				break
			}
			w := wait{id: c.id, after: x, begin: c.attempts[i+1].Begin}
			if came(x) == 0 || !heard.surely(x, w.begin) {
				w.blur = noise
			}
			if w.gap() < -w.blur {
				overlaps++ // the caller went on without closing the attempt before: its end says nothing
				continue
			}
			if x.RetryAfter > 0 && came(x) > 0 {
				told = append(told, w)
				break
			}
			byRank[i].all = append(byRank[i].all, w)
		}
	}
	return byRank, told, overlaps
}

// Judge implements Claim.
func (c Backoff) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "backoff")
	link := run.Links[c.Link]
	if link == nil || len(link.Exchanges) == 0 {
		f.doubt("no call went over %s", c.Link)
		return f.verdict()
	}
	if _, ok := frontOf(run, c.Route); !ok {
		f.doubt("the run has no route %s", c.Route)
		return f.verdict()
	}
	spans := episodes(run, 0, func(i evidence.Injection) bool { return onPath(link, i) })
	from, to := reach(run, spans)
	f.rests(from, min(to, horizon(run)), onDue|onTimes|onLoad)
	if !propagates(link) {
		f.doubt("attempts cannot be told apart: none of %d calls on %s carries a request id. The system must pass on X-Request-Id or traceparent", len(link.Exchanges), c.Link)
		return f.verdict()
	}
	noise := run.Noise(from, to)
	calls, _ := callsOf(run, link, c.Route, noise)
	calls, mixed := ofOne(run, link, calls)
	if mixed > 0 {
		f.numbers.Add("calls_of_repeated_requests", float64(mixed))
	}
	if quiet, fanned := fanout(calls, firstInjection(run)); len(fanned) > 0 {
		f.doubt("attempts cannot be told apart: %d of %d requests made several calls over %s for the same path even when nothing failed; name a route that makes one", len(fanned), quiet, c.Link)
		return f.verdict()
	}
	heard := hearingOf(run, Links{c.Link}, link, noise)
	byRank, told, overlaps := ranks(calls, noise, heard)
	first := 0
	if len(byRank) > 0 {
		first = len(byRank[0].all)
	}
	f.numbers.Add("calls", float64(len(calls)))
	f.numbers.Add("first_waits", float64(first))
	f.numbers.Add("waits_after_retry_after", float64(len(told)))
	f.numbers.Add("overlapping_attempts", float64(overlaps))
	f.numbers.AddTime("noise", noise)

	if c.RetryAfter {
		c.judgeRetryAfter(f, link, told, heard)
	}
	switch {
	case first+len(told) == 0:
		f.doubt("no call over %s was retried", c.Link)
		return f.verdict()
	case first < leastFirstWaits:
		f.doubt("only %d first waits were seen; at least %d are needed", first, leastFirstWaits)
	}
	if c.judgeLaw(f, byRank, noise, run.Behind(from, to)) { // where the ranges are not kept, a spread within them means nothing
		if c.Jitter > 0 || c.Law == "full" {
			c.judgeJitter(f, byRank, noise, smear(run, link, callers(run, link, c.Route), noise))
		}
		if c.Herd > 0 {
			c.judgeHerd(f, run, byRank)
		}
	}
	if unfinished(run, c.Link) {
		f.doubt("the run was cut before its faults on %s were over", c.Link)
	}
	return f.verdict()
}

// judgeLaw compares the waits of each rank with their range: none too early,
// and their median not too late. It is false if that refutes the claim.
func (c Backoff) judgeLaw(f *finding, byRank []waits, noise, behind time.Duration) bool {
	var medians []time.Duration
	for i, w := range byRank {
		if len(w.all) < leastWaits || i == 0 && len(w.all) < leastFirstWaits {
			continue
		}
		k := i + 1
		lower, upper := c.law(k)
		gaps := w.gaps()
		middle := percentile(gaps, 0.5)
		f.numbers.Add(fmt.Sprintf("waits_%d", k), float64(len(gaps)))
		f.numbers.AddTime(fmt.Sprintf("wait_%d_min", k), slices.Min(gaps))
		f.numbers.AddTime(fmt.Sprintf("wait_%d_p50", k), middle)
		f.numbers.AddTime(fmt.Sprintf("wait_%d_p90", k), percentile(gaps, 0.9))
		f.numbers.AddTime(fmt.Sprintf("law_%d_from", k), lower)
		f.numbers.AddTime(fmt.Sprintf("law_%d_to", k), upper)

		if early := c.early(w, lower, upper); len(early) > 0 {
			what := fmt.Sprintf("half of %d came within %s, where %s was claimed", len(gaps), short(max(middle, 0)), within(lower, upper))
			switch {
			case middle <= min(noise, upper/4):
				f.refute(early, "retries number %d do not wait: %s", k, what)
			case len(medians) > 0 && c.stays(medians[0], middle, k):
				f.refute(early, "the waits do not grow: half of the first retries came within %s; of retries number %d, %s", short(medians[0]), k, what)
			default:
				f.refute(early, "%d retries number %d came too early: %s", len(early), k, what)
			}
			return false // the later ranks would only say it again
		}
		if n := c.seemEarly(w, lower); n > max(2, len(gaps)/10) {
			f.doubt("%d of %d retries number %d seem to come early, where %s was claimed, but the ends of calls that nobody answered are known only within the host's noise of %s", n, len(gaps), k, within(lower, upper), short(noise))
		}
		what := fmt.Sprintf("half of %d waited %s or more, where %s was claimed", len(gaps), short(middle), within(lower, upper))
		switch {
		case middle > upper+upper/4+2*behind:
			f.refute(all(w.all), "retries number %d come too late: %s", k, what)
			return false
		case middle > upper+upper/10+noise:
			f.doubt("retries number %d seem to come late: %s; the host's noise is %s", k, what, short(behind))
		}
		medians = append(medians, middle)
	}
	switch {
	case len(medians) == 0: // the caller said so
	case len(medians) == 1 && c.grows(2) >= 1.2:
		f.doubt("only first waits were seen often enough (half of them within %s): that they grow cannot be told", short(medians[0]))
	default:
		words := make([]string, len(medians))
		for i, m := range medians {
			words[i] = short(m)
		}
		f.note("the medians of the 1st, 2nd, ... wait were %s", strings.Join(words, ", "))
	}
	return true
}

// grows tells how many times longer the k-th wait is claimed to be than the first.
func (c Backoff) grows(k int) float64 {
	_, first := c.law(1)
	_, kth := c.law(k)
	return float64(kth) / float64(max(first, 1))
}

// stays tells whether the k-th wait is nearer to the first than to what was claimed.
func (c Backoff) stays(first, kth time.Duration, k int) bool {
	return c.grows(k) >= 1.2 && float64(kth) < (1+c.grows(k))/2*float64(first)
}

// early returns the calls that show the waits of one rank to be too short.
// Where the range begins at 0 no single wait can be too short; there, clearly
// more than half of them below the middle are.
func (c Backoff) early(w waits, lower, upper time.Duration) []uint64 {
	limit := lower - slack(lower)
	if lower <= 0 {
		limit = upper / 2
	}
	var early []uint64
	for _, w := range w.all {
		if w.gap()+w.blur < limit {
			early = append(early, w.id)
		}
	}
	if lower > 0 {
		if len(early) <= max(2, len(w.all)/100) {
			return nil
		}
		return early
	}
	// Deadlines keep the short ones of such waits: with a tenth cut off, 0.5/0.9 = 56% are expected.
	if lo, _ := scoreInterval(len(early), len(w.all), 4); lo > 0.6 && w.kept() >= 0.9 {
		return early
	}
	return nil
}

// seemEarly counts the waits below the range as measured.
func (c Backoff) seemEarly(w waits, lower time.Duration) int {
	n := 0
	for _, x := range w.all {
		if x.gap() < lower-slack(lower) {
			n++
		}
	}
	return n
}

// within prints a range.
func within(lower, upper time.Duration) string {
	if upper <= lower {
		return short(lower)
	}
	return short(lower) + " to " + short(upper)
}

// judgeJitter looks at the rank in which the claimed range is the widest, so
// that the host's own spread matters least.
//
// A spread below a quarter of the uniform law's is no jitter. A spread of more
// than half of it is jitter, unless the host alone could have made it; what
// lies between stays open. Of the shape, only what no deadline and no noise
// explains refutes: a Kolmogorov–Smirnov distance above 0.35 from at least 200
// waits.
func (c Backoff) judgeJitter(f *finding, byRank []waits, noise, smear time.Duration) {
	best, width := c.widest(byRank, 0.9)
	if best < 0 {
		best, width = c.widest(byRank, 0.5)
	}
	if best < 0 {
		f.doubt("no wait was seen often enough to tell its jitter; at least %d of one rank are needed", leastFirstWaits)
		return
	}
	w := byRank[best]
	gaps := w.gaps()
	lower, _ := c.law(best + 1)
	u := make([]float64, len(gaps))
	for i, g := range gaps {
		u[i] = float64(g-lower) / float64(width)
	}
	spread := percentile(gaps, 0.9) - percentile(gaps, 0.1)
	expected := width * 8 / 10 // the uniform law's p90 − p10
	distance := uniformDistance(u)
	f.numbers.Add("jitter_rank", float64(best+1))
	f.numbers.AddTime("jitter_spread", spread)
	f.numbers.AddTime("jitter_spread_claimed", expected)
	f.numbers.Add("jitter_cv", variation(gaps))
	f.numbers.Add("ks_distance", distance)
	f.numbers.Add("ks_p", kolmogorov(len(u), distance))

	which := fmt.Sprintf("%d retries number %d", len(gaps), best+1)
	switch {
	case spread < expected/4:
		f.refute(all(w.all), "there is no jitter: the middle 80%% of the waits of %s lie within %s, where %s was claimed", which, short(max(spread, 0)), short(expected))
	case spread < expected/2:
		f.doubt("the jitter cannot be told: the middle 80%% of the waits of %s lie within %s, where %s was claimed", which, short(spread), short(expected))
	case distance > 0.35:
		r := Inconclusive
		if len(u) >= 200 && noise <= width/10 && w.kept() >= 0.95 {
			r = Refuted
		}
		f.part(r, all(w.all), "the waits of %s are not spread evenly over the claimed %s: their distance from the uniform law is %.2f (Kolmogorov–Smirnov)", which, short(width), distance)
	case expected/2 < smear:
		f.doubt("the jitter cannot be told: the waits of %s are spread over %s, but this host alone may spread them over %s; longer waits would show it", which, short(spread), short(smear))
	default:
		f.note("jitter spreads the middle 80%% of retries number %d over %s (%s claimed)", best+1, short(spread), short(expected))
	}
}

// widest returns the index of the rank with the widest claimed range among
// those that were seen often enough and of which at least the share kept is
// there: deadlines of callers cut the long waits off, and so their spread.
func (c Backoff) widest(byRank []waits, kept float64) (best int, width time.Duration) {
	best = -1
	for i, w := range byRank {
		lower, upper := c.law(i + 1)
		if len(w.all) >= leastFirstWaits && w.kept() >= kept && upper-lower > width {
			best, width = i, upper-lower
		}
	}
	return best, width
}

// judgeRetryAfter compares waits with what the answers asked for. In seconds
// that is exact. A date has none but whole seconds, so whoever keeps to it may
// come a second early; what is left until a date is no whole number of
// seconds, which tells the two forms apart.
func (c Backoff) judgeRetryAfter(f *finding, link *evidence.Link, told []wait, heard hearing) {
	asked, unsure := 0, 0
	for _, x := range link.Exchanges {
		if x.RetryAfter > 0 && came(x) > 0 {
			asked++
		}
	}
	f.numbers.Add("retry_after_seen", float64(asked))
	var early []uint64
	least := time.Duration(math.MaxInt64)
	for _, w := range told {
		margin := 50 * time.Millisecond
		if w.after.RetryAfter%time.Second != 0 {
			margin = time.Second
		}
		over := w.gap() - w.after.RetryAfter
		if over < -margin && !heard.surely(w.after, w.begin) {
			unsure++
			continue
		}
		least = min(least, over)
		if over < -margin {
			early = append(early, w.id)
		}
	}
	switch {
	case len(early) > 0:
		f.numbers.Add("retry_after_ignored", float64(len(early)))
		f.refute(early, "%d of %d retries came before the Retry-After they were given, up to %s too early", len(early), len(told), short(-least))
	case unsure > 0:
		f.doubt("%s before the Retry-After of the answer before, but the host kept processes from running so long that the callers may have given up on it", were(unsure, "retry came", "retries came"))
	case asked == 0:
		f.doubt("no answer carried a Retry-After: an errors fault with retry_after would show whether it is honoured")
	case len(told) < leastTold:
		f.doubt("%d answers carried a Retry-After, but only %d of them were followed by a retry; at least %d are needed", asked, len(told), leastTold)
	default:
		f.numbers.AddTime("retry_after_margin_min", least)
		f.note("none of %d retries came before its Retry-After", len(told))
	}
}

// judgeHerd looks for calls that failed together, within 10 ms, and at how
// their retries come back: the fullest 10 ms against an even spread over the
// claimed range. A stall of the host lets waits that end during it begin
// together at its end, so that much more is tolerated.
func (c Backoff) judgeHerd(f *finding, run *evidence.Run, byRank []waits) {
	const bin = 10 * time.Millisecond
	cohorts, open := 0, false
	worst := 0.0
	for i, w := range byRank {
		lower, upper := c.law(i + 1)
		width := max(upper-lower, bin)
		rest := slices.Clone(w.all)
		slices.SortStableFunc(rest, func(a, b wait) int { return cmp.Compare(a.after.End, b.after.End) })
		for len(rest) > 0 {
			n := 1
			for n < len(rest) && rest[n].after.End-rest[0].after.End < bin {
				n++
			}
			cohort := rest[:n]
			rest = rest[n:]
			even := float64(n) * float64(bin) / float64(width)
			if n < leastCohort || even < 5 {
				continue // so few that chance alone makes peaks
			}
			cohorts++
			peak, back := fullest(cohort, bin)
			worst = max(worst, float64(peak)/even)
			noise := run.Noise(cohort[0].after.End, back)
			stalled := 1 + float64(noise)/float64(bin)
			switch {
			case float64(peak) <= c.Herd*even:
			case float64(peak) > c.Herd*even*stalled && poissonTail(peak, c.Herd*even*stalled) < 1e-4:
				f.refute(all(cohort), "a herd: of %d calls that failed together at %s, %d were retried within the same 10 ms, where an even spread over %s makes %.1f", n, short(cohort[0].after.End), peak, short(width), even)
				f.numbers.Add("herd_peak", worst)
				return
			default:
				open = true
			}
		}
	}
	f.numbers.Add("herd_cohorts", float64(cohorts))
	if cohorts > 0 {
		f.numbers.Add("herd_peak", worst)
	}
	switch {
	case cohorts == 0:
		f.doubt("no %d calls failed at one instant: whether a herd comes back cannot be told; a reset of the link under more load would show it", leastCohort)
	case open:
		f.doubt("the fullest 10 ms of retries held %.1f times an even share, more than %.3g, but chance and the host's stalls could have made it", worst, c.Herd)
	default:
		f.note("calls that failed together came back at no more than %.1f times an even share in any 10 ms", worst)
	}
}

// fullest returns the most retries of a cohort that began within one bin, and
// when the last of the cohort began.
func fullest(cohort []wait, bin time.Duration) (peak int, last time.Duration) {
	begins := make([]time.Duration, len(cohort))
	for i, w := range cohort {
		begins[i] = w.begin
	}
	slices.Sort(begins)
	from := 0
	for to := range begins {
		for begins[to]-begins[from] >= bin {
			from++
		}
		peak = max(peak, to-from+1)
	}
	return peak, begins[len(begins)-1]
}

// all lists the calls of the waits.
func all(ws []wait) []uint64 {
	ids := make([]uint64, len(ws))
	for i, w := range ws {
		ids[i] = w.id
	}
	return ids
}

// smear is by how much the host spreads the middle 80% of waits that are all
// alike. Its noise says how late the latest may be, which is far more; where
// answers are alike while nothing is wrong, twice their spread is nearer. It
// takes the greater of two: of the dependency's own answers, and of the
// requests' service times before the faults. The waits are the system's, and a
// system that lacks a processor need not share that with its dependency.
func smear(run *evidence.Run, link *evidence.Link, own []load.Sample, noise time.Duration) time.Duration {
	var answers []time.Duration
	for _, x := range link.Exchanges {
		if x.Ending == evidence.Answered && succeeded(x) {
			answers = append(answers, x.Duration())
		}
	}
	calm := serviceTimes(untouched(run, own))
	if len(answers) < 100 || len(calm) < 100 {
		return noise
	}
	spread := func(took []time.Duration) time.Duration { return percentile(took, 0.9) - percentile(took, 0.1) }
	return min(noise, 2*max(spread(answers), spread(calm)))
}
