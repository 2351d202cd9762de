package judge

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

var sagaPairs = []Pair{{"POST /reserve", "POST /release", "stock"}, {"POST /pay", "POST /refund", "bank"}, {"POST /ship", "POST /recall", "carrier"}}

// selling is a shop whose requests reserve, pay and ship. In the middle half of the run every
// fifth is left off behind one of its steps, and undoes what it did.
type selling struct {
	seed    uint64
	n       int
	planted uint64                               // the request that change is about
	change  func(xs [][]*evidence.Exchange) bool // by step: its do, and its undo if it has one; false takes that out
}

func (m selling) play() *evidence.Run {
	rng := rand.New(rand.NewPCG(m.seed, 7))
	total := time.Duration(m.n) * 2 * ms
	run := dataRun(total)
	run.Routes = []string{"order"}
	run.Links = map[string]*evidence.Link{}
	for _, p := range sagaPairs {
		run.Links[p.At] = &evidence.Link{Name: p.At, From: "shop", To: p.At + "s"}
	}
	run.Faults[0] = evidence.Injection{Name: "errors on carrier", Kind: "errors", On: "carrier", Statuses: []int{503}, Injected: total / 4, Healed: total / 4 * 3,
		Effects: &evidence.Effects{}}
	for i := range m.n {
		at := time.Duration(i) * 2 * ms
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 20*ms, Status: 200}
		reaches := len(sagaPairs)
		if at > total/4 && at < total/4*3 && i%5 == 0 {
			reaches = 1 + rng.IntN(len(sagaPairs)-1)
			s.Outcome, s.Status = load.ServerError, 502
		}
		var steps [][]*evidence.Exchange
		call := func(what string, after time.Duration) *evidence.Exchange {
			method, path, _ := strings.Cut(what, " ")
			return &evidence.Exchange{ID: s.ID, Begin: at + after, End: at + after + ms, Method: method, Path: path, Status: 200}
		}
		for k := range reaches {
			steps = append(steps, []*evidence.Exchange{call(sagaPairs[k].Do, time.Duration(1+2*k)*ms)})
		}
		if reaches < len(sagaPairs) {
			for k := range reaches {
				steps[k] = append(steps[k], call(sagaPairs[k].Undo, time.Duration(10+2*k)*ms))
			}
		}
		if s.ID == m.planted && m.change != nil && !m.change(steps) {
			steps = nil
		}
		for k, xs := range steps {
			for _, x := range xs {
				run.Links[sagaPairs[k].At].Exchanges = append(run.Links[sagaPairs[k].At].Exchanges, *x)
			}
		}
		run.Samples = append(run.Samples, s)
	}
	for _, l := range run.Links {
		slices.SortStableFunc(l.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	}
	return run
}

// A saga that undoes what it did is never refuted.
func TestConservedSagasAreNeverRefuted(t *testing.T) {
	for seed := range uint64(100) {
		run := selling{seed: seed, n: 1000}.play()
		if v := (Conserved{Pairs: sagaPairs, Within: time.Second}).Judge(run); v.Ruling != Held {
			t.Fatalf("seed %d: %v, %s", seed, v.Ruling, v.Reason)
		}
	}
}

// One that is left off halfway, undone twice or in part, or done again is found and named.
func TestOneHalfDoneSagaIsFound(t *testing.T) {
	const cut = 501 // left off, as 500 is a multiple of 5
	again := func(xs []*evidence.Exchange, k int) []*evidence.Exchange {
		x := *xs[k]
		x.Begin, x.End = x.Begin+ms, x.End+ms
		return append(xs, &x)
	}
	for name, c := range map[string]struct {
		id     uint64
		change func(xs [][]*evidence.Exchange) bool
		want   Ruling
		says   string
	}{
		"sound":         {cut, nil, Held, "of 1000 requests did every step"},
		"nothing of it": {cut, func([][]*evidence.Exchange) bool { return false }, Held, ""},
		"not undone":    {cut, func(xs [][]*evidence.Exchange) bool { xs[0] = xs[0][:1]; return true }, Refuted, "1 of 1000 requests are neither done nor undone: request 501"},
		"undone twice":  {cut, func(xs [][]*evidence.Exchange) bool { xs[0] = again(xs[0], 1); return true }, Refuted, "POST /release 2 times"},
		"done twice":    {cut + 1, func(xs [][]*evidence.Exchange) bool { xs[1] = again(xs[1], 0); return true }, Refuted, "POST /pay 2 times"},
		"whole, and one undone": {cut + 1, func(xs [][]*evidence.Exchange) bool {
			x := *xs[1][0]
			x.Path = "/refund"
			xs[1] = append(xs[1], &x)
			return true
		}, Refuted, "POST /refund once"},
		"undone by a caller who did not know": {cut, func(xs [][]*evidence.Exchange) bool {
			xs[0][0].Status = 503 // it had none
			return true
		}, Held, ""},
		"its answer was lost, and it is not undone": {cut, func(xs [][]*evidence.Exchange) bool {
			xs[0] = xs[0][:1]
			xs[0][0].Status, xs[0][0].Own, xs[0][0].Ending = 0, 200, evidence.Broken
			return true
		}, Refuted, "request 501"},
		"its answer was lost, and it is undone": {cut, func(xs [][]*evidence.Exchange) bool {
			xs[0][0].Status, xs[0][0].Own, xs[0][0].Ending = 0, 200, evidence.Broken
			return true
		}, Held, ""},
		"it may have been done, and is not undone": {cut, func(xs [][]*evidence.Exchange) bool {
			xs[0] = xs[0][:1]
			xs[0][0].Status, xs[0][0].Ending = 0, evidence.CallerGone
			return true
		}, Inconclusive, "1 request of which it is not known"},
	} {
		m := selling{seed: 1, n: 1000, planted: c.id, change: c.change}
		v := (Conserved{Pairs: sagaPairs}).Judge(m.play())
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) || c.want == Refuted && !slices.Equal(v.IDs, []uint64{c.id}) {
			t.Errorf("%s: %v by %v, %q; want %v, %q", name, v.Ruling, v.IDs, v.Reason, c.want, c.says)
		}
	}
}

// One of 100,000 that is not undone is found and named.
func TestOneHalfDoneSagaInAHundredThousandIsFound(t *testing.T) {
	m := selling{seed: 1, n: 100_000, planted: 50_001, change: func(xs [][]*evidence.Exchange) bool { xs[0] = xs[0][:1]; return true }}
	if v := (Conserved{Pairs: sagaPairs}).Judge(m.play()); v.Ruling != Refuted || !slices.Equal(v.IDs, []uint64{m.planted}) {
		t.Errorf("%v by %v: %s", v.Ruling, v.IDs, v.Reason)
	}
}

func TestConservedPairsAreNotHeldByNothing(t *testing.T) {
	claim := Conserved{Pairs: sagaPairs}
	late := claim
	late.Within = ms
	for name, c := range map[string]struct {
		claim  Conserved
		change func(run *evidence.Run)
		want   Ruling
		says   string
	}{
		"sound": {claim, func(*evidence.Run) {}, Held, "after POST /reserve"},
		"none left off": {claim, func(run *evidence.Run) {
			for _, l := range run.Links {
				l.Exchanges = slices.DeleteFunc(l.Exchanges, func(x evidence.Exchange) bool { return (x.ID-1)%5 == 0 })
			}
		}, Inconclusive, "only 0 requests were left off halfway"},
		"it took longer": {late, func(*evidence.Run) {}, Refuted, "until all was done or undone"},
		"no such link":   {claim, func(run *evidence.Run) { delete(run.Links, "bank") }, Inconclusive, `no link "bank"`},
		"other calls":    {Conserved{Pairs: []Pair{{"POST /book", "POST /unbook", "stock"}}}, func(*evidence.Run) {}, Inconclusive, "no request called for POST /book"},
		"a call of nobody": {claim, func(run *evidence.Run) {
			run.Links["stock"].Exchanges[100].ID = 0
		}, Inconclusive, "of which it is not known which steps took effect"},
		"paths that go on": {Conserved{Pairs: []Pair{{"POST /reser*", "POST /rel*", "stock"}, sagaPairs[1], sagaPairs[2]}}, func(*evidence.Run) {}, Held, ""},
	} {
		run := selling{seed: 1, n: 1000}.play()
		c.change(run)
		if v := c.claim.Judge(run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

func TestConservedAudits(t *testing.T) {
	amount := func(x float64) *float64 { return &x }
	total := func(x float64, during bool, at time.Duration) evidence.Audit {
		return evidence.Audit{Name: "total", At: at, Status: 200, Whole: true, Number: amount(x), During: during}
	}
	ids := func(name string, list ...uint64) evidence.Audit {
		return evidence.Audit{Name: name, At: 5 * time.Second, Status: 200, Whole: true, IDs: list}
	}
	sum := func(last float64, before ...float64) (all []evidence.Audit) {
		for i, x := range before {
			all = append(all, total(x, true, time.Duration(i)*time.Second))
		}
		return append(all, total(last, false, 5*time.Second))
	}
	equals, always, fold := Conserved{Audit: "total", Equals: amount(10000)}, Conserved{Audit: "total", Equals: amount(10000), Throughout: true}, Conserved{Audit: "fold", EqualsAudit: "state"}
	named := func(name string, x float64) evidence.Audit {
		a := total(x, false, 5*time.Second)
		a.Name = name
		return a
	}
	moved := named("state", 8)
	moved.Moved = "it found 8, and 9 when it was asked again"
	still := total(10001, false, 5*time.Second)
	still.Moved = "it found 10001, and 10000 when it was asked again"
	torn := ids("state")
	torn.Whole, torn.Why = false, "it broke off"
	for name, c := range map[string]struct {
		claim  Conserved
		audits []evidence.Audit
		want   Ruling
		says   string
	}{
		"equal":                    {equals, sum(10000), Held, "total finds 10000 in the end"},
		"one too many":             {equals, sum(10001), Refuted, "1 off"},
		"one too few":              {equals, sum(9999), Refuted, "1 off"},
		"a cent":                   {equals, sum(10000.01), Refuted, "0.01"},
		"in between it is not":     {equals, sum(10000, 10000, 9000, 10000), Held, ""},
		"always":                   {always, sum(10000, 10000, 10000), Held, "in all of 3 samples"},
		"not always":               {always, sum(10000, 10000, 9000, 10000), Refuted, "1000 off"},
		"on either side":           {always, sum(10000, 10001, 9999), Refuted, "1 off"},
		"never asked in between":   {always, sum(10000), Inconclusive, "give it every: 1s"},
		"not asked":                {equals, nil, Inconclusive, "no link"},
		"the same number":          {fold, []evidence.Audit{named("fold", 7), named("state", 7)}, Held, ""},
		"not the same number":      {fold, []evidence.Audit{named("fold", 7), named("state", 8)}, Refuted, "fold finds 7, and state finds 8"},
		"the same ids":             {fold, []evidence.Audit{ids("fold", 1, 2, 2, 3), ids("state", 2, 3, 1, 2)}, Held, "the same 4 entries"},
		"one skipped":              {fold, []evidence.Audit{ids("fold", 1, 2, 3), ids("state", 1, 3)}, Refuted, "1 ids are not as often in fold as in state"},
		"one twice":                {fold, []evidence.Audit{ids("fold", 1, 2, 3), ids("state", 1, 2, 2, 3)}, Refuted, "1 ids"},
		"neither has any":          {fold, []evidence.Audit{ids("fold"), ids("state")}, Inconclusive, "let something happen"},
		"one still grows":          {fold, []evidence.Audit{named("fold", 7), moved}, Inconclusive, "let load.settle be longer"},
		"it still changes":         {equals, []evidence.Audit{still}, Inconclusive, "10000 when it was asked again"},
		"one is torn":              {fold, []evidence.Audit{ids("fold", 1), torn}, Inconclusive, "it broke off"},
		"a number and ids":         {fold, []evidence.Audit{named("fold", 7), ids("state", 1)}, Inconclusive, "let both have number"},
		"it claims nothing at all": {Conserved{Audit: "total"}, sum(10000), Inconclusive, "claims nothing"},
	} {
		run := selling{seed: 1, n: 500}.play()
		run.Audits = c.audits
		v := c.claim.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
		if name == "one skipped" && !slices.Equal(v.IDs, []uint64{2}) {
			t.Errorf("%s: by %v", name, v.IDs)
		}
	}
	run := selling{seed: 1, n: 500}.play()
	run.Audits, run.Faults = sum(10000), nil
	if v := equals.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "kill what moves things") {
		t.Errorf("no fault: %v, %s", v.Ruling, v.Reason)
	}
	run = selling{seed: 1, n: 10}.play()
	run.Audits = sum(10000)
	if v := equals.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "only 8 requests") {
		t.Errorf("hardly any request: %v, %s", v.Ruling, v.Reason)
	}
}

// Two audits of something else than requests of this run are not the same by having as
// many entries.
func TestAuditsOfOtherThingsAreNotTheSame(t *testing.T) {
	other := load.ForeignValue
	for name, c := range map[string]struct {
		a, b []uint64
		want Ruling
		says string
	}{
		"the same":              {[]uint64{1, 2, 2}, []uint64{2, 1, 2}, Held, "a and b have the same 3 entries"},
		"one less":              {[]uint64{1, 2, 2}, []uint64{2, 1}, Refuted, "1 ids are not as often in a as in b"},
		"nothing":               {nil, nil, Inconclusive, "neither a nor b has an entry"},
		"other things":          {[]uint64{other, other}, []uint64{other, other}, Inconclusive, "no entry of this run"},
		"and other things":      {[]uint64{1, other}, []uint64{1, other}, Inconclusive, "1 entry of a and 1 of b that are not of this run"},
		"other things, in one":  {[]uint64{1, 2, other}, []uint64{1, 2}, Refuted, ""},
		"one less, among other": {[]uint64{1, other}, []uint64{other}, Refuted, ""},
	} {
		run := soundEvents(1).play()
		run.Audits = []evidence.Audit{{Name: "a", At: run.End, Whole: true, IDs: c.a}, {Name: "b", At: run.End, Whole: true, IDs: c.b}}
		if v := (Conserved{Audit: "a", EqualsAudit: "b"}).Judge(run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %s", name, v.Ruling, v.Reason)
		}
	}
}

// What nobody was asked to move is conserved, and that shows nothing.
func TestConservedTakesRequestsThatArrive(t *testing.T) {
	run := soundEvents(1).play()
	total := 100.0
	run.Audits = []evidence.Audit{{Name: "total", At: run.End, Whole: true, Number: &total}}
	claim := Conserved{Audit: "total", Equals: &total}
	if v := claim.Judge(run); v.Ruling != Held {
		t.Fatalf("%v: %s", v.Ruling, v.Reason)
	}
	for i := range run.Samples {
		run.Samples[i].Outcome, run.Samples[i].Status = load.Refused, 0
	}
	if v := claim.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "only 0 requests were under way") {
		t.Errorf("all refused: %v, %s", v.Ruling, v.Reason)
	}
}
