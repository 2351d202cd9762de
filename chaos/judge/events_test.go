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

// events is a producer whose orders go through a broker to two consumers: raw does
// whatever it is told and calls over the link of that name; the other one calls over
// ledger, and an audit of that name lists what it applied. In the middle half of the run
// acknowledgements are lost: what is delivered then is delivered once more a second later,
// and some of it only then. It shares no code with the judge.
type events struct {
	seed   uint64
	n      int
	keys   uint64
	naive  bool // the consumer does whatever it is told as well
	busy   bool // the host stalls now and then
	again  uint64
	lost   uint64
	late   uint64 // applied half a second late, whatever came
	parked uint64 // lost, and listed by the audit dead
}

// delivered is one delivery of an event.
type delivered struct {
	at time.Duration
	i  int
}

func (m events) play() *evidence.Run {
	rng := rand.New(rand.NewPCG(m.seed, 91))
	some := func(mean time.Duration) time.Duration { return mean/4 + time.Duration(rng.ExpFloat64()*float64(mean)) }
	total := time.Duration(m.n) * ms
	run := dataRun(total)
	run.Routes, run.Keys = []string{"order"}, m.keys
	run.Access = []evidence.Access{{Route: "order", To: "shop", Data: "order", Writes: true}}
	run.Links = map[string]*evidence.Link{"raw": {Name: "raw", From: "naive", To: "sink"}, "ledger": {Name: "ledger", From: "consumer", To: "bank"}}
	run.Faults[0] = evidence.Injection{Name: "partition on broker", Kind: "partition", On: "broker", Injected: total / 4, Healed: total / 4 * 3, Effects: &evidence.Effects{}}
	if m.busy {
		for i := range run.Ticks {
			run.Ticks[i].HiccupMax, run.Ticks[i].HiccupP99 = evidence.Seconds(30*ms), evidence.Seconds(20*ms)
		}
	}
	var all []delivered
	for i := range m.n {
		sent := time.Duration(i) * ms
		s := load.Sample{ID: uint64(i + 1), Intended: sent, Sent: sent, Done: sent + some(ms), Status: 200}
		published := true
		if rng.IntN(50) == 0 {
			s.Outcome, s.Status, published = load.TimedOut, 0, rng.IntN(2) == 0
		}
		run.Samples = append(run.Samples, s)
		run.Values = append(run.Values, evidence.Value{ID: s.ID, Key: 1 + rng.Uint64N(m.keys), Value: s.ID})
		if !published {
			continue
		}
		at := s.Done + some(ms)
		cut := at >= run.Faults[0].Injected && at < run.Faults[0].Healed
		if cut && rng.IntN(10) == 0 {
			all = append(all, delivered{at + time.Second, i})
			continue
		}
		all = append(all, delivered{at, i})
		if cut && rng.IntN(2) == 0 {
			all = append(all, delivered{at + time.Second, i})
		}
	}
	slices.SortStableFunc(all, func(a, b delivered) int { return cmp.Compare(a.at, b.at) })
	for _, d := range all {
		run.Links["raw"].Exchanges = append(run.Links["raw"].Exchanges, evidence.Exchange{ID: run.Samples[d.i].ID, Begin: d.at, End: d.at + some(100*time.Microsecond),
			Method: "POST", Path: "/apply", Status: 200})
	}
	m.apply(run, all, some)
	return run
}

// apply is the consumer.
func (m events) apply(run *evidence.Run, all []delivered, some func(time.Duration) time.Duration) {
	type queue struct {
		ids  []int // that were published, in order
		free time.Duration
	}
	queues := map[uint64]*queue{}
	came := map[int]bool{}
	for _, d := range all {
		if key := run.Values[d.i].Key; !came[d.i] {
			if queues[key] == nil {
				queues[key] = &queue{}
			}
			queues[key].ids = append(queues[key].ids, d.i)
			came[d.i] = true
		}
	}
	for _, q := range queues {
		slices.Sort(q.ids)
	}
	clear(came)
	books := run.Links["ledger"]
	effect := func(i int, at time.Duration) (end time.Duration) {
		id := run.Samples[i].ID
		begin := at + some(100*time.Microsecond)
		end = begin + some(100*time.Microsecond)
		x := evidence.Exchange{ID: id, Begin: begin, End: end, Method: "POST", Path: "/book", Status: 200}
		switch id {
		case m.lost, m.parked:
			return end
		case m.late:
			x.Begin, x.End = begin+500*ms, end+500*ms
		}
		books.Exchanges = append(books.Exchanges, x)
		if id == m.again {
			x.Begin, x.End = x.Begin+ms, x.End+ms
			books.Exchanges = append(books.Exchanges, x)
		}
		return end
	}
	for _, d := range all {
		if m.naive {
			effect(d.i, d.at)
			continue
		}
		came[d.i] = true
		for q := queues[run.Values[d.i].Key]; len(q.ids) > 0 && came[q.ids[0]]; q.ids = q.ids[1:] {
			q.free = effect(q.ids[0], max(d.at, q.free))
		}
	}
	slices.SortStableFunc(books.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	audit := evidence.Audit{Name: "booked", To: "bank", At: run.End + 3*time.Second, Status: 200, Whole: true}
	for _, x := range books.Exchanges {
		audit.IDs = append(audit.IDs, x.ID)
	}
	dead := evidence.Audit{Name: "dead", At: audit.At, Status: 200, Whole: true}
	if m.parked != 0 {
		dead.IDs = []uint64{m.parked}
	}
	run.Audits = []evidence.Audit{audit, dead}
}

// eventClaims are true of a sound consumer, at its link and by its audit.
func eventClaims() []Claim {
	raw := Links{"raw"}
	return []Claim{
		Effects{At: Links{"ledger"}, Route: "order", Delivered: raw}, Effects{At: Links{"booked"}, Route: "order", Delivered: raw},
		Ordered{At: Links{"ledger"}, Writes: "order", Delivered: raw}, Ordered{At: Links{"booked"}, Writes: "order", Delivered: raw},
	}
}

func soundEvents(seed uint64) events { return events{seed: seed, n: 4000, keys: 20} }

// A consumer that knows what it has done and waits for what is missing is never refuted, and
// held on a host that is well; one that does whatever it is told always is.
func TestEventsOfSoundConsumersAreNeverRefuted(t *testing.T) {
	for seed := range uint64(100) {
		m := soundEvents(seed)
		m.busy = seed%2 == 1
		run := m.play()
		for _, c := range eventClaims() {
			if v := c.Judge(run); v.Ruling == Refuted || v.Ruling != Held && !m.busy {
				t.Fatalf("seed %d: %s: %v, %s", seed, v.Claim, v.Ruling, v.Reason)
			}
		}
		if seed%10 > 0 {
			continue
		}
		m.naive = true
		run = m.play()
		for _, c := range eventClaims() {
			if v := c.Judge(run); v.Ruling != Refuted {
				t.Fatalf("naive, seed %d: %s: %v, %s", seed, v.Claim, v.Ruling, v.Reason)
			}
		}
	}
}

// Each mistake with one event refutes its own claim, and no other.
func TestOneEventRefutesItsClaim(t *testing.T) {
	const planted = 2000
	for name, c := range map[string]struct {
		plant   func(m *events)
		refutes string
	}{
		"twice": {func(m *events) { m.again = planted }, "effects"},
		"late":  {func(m *events) { m.late = planted }, "ordered"},
		"lost":  {func(m *events) { m.lost = planted }, "effects ordered"},
	} {
		m := soundEvents(1)
		c.plant(&m)
		run := m.play()
		for _, claim := range eventClaims() {
			v := claim.Judge(run)
			want := Held
			if strings.Contains(c.refutes, v.Kind) {
				want = Refuted
			}
			if v.Ruling != want || want == Refuted && !slices.Contains(v.IDs, planted) {
				t.Errorf("%s: %s: %v by %v, want %v: %s", name, v.Claim, v.Ruling, v.IDs, want, v.Reason)
			}
			if want == Refuted && !slices.ContainsFunc(v.Exhibits, func(e Exhibit) bool {
				return e.Staircase != nil && slices.ContainsFunc(e.Staircase.Requests, func(r Climb) bool { return r.ID == planted })
			}) {
				t.Errorf("%s: %s: request %d is not drawn", name, v.Claim, planted)
			}
		}
	}
}

// One event in 100,000 that is applied twice, too late or never is found, and named.
func TestOneEventInAHundredThousandIsFound(t *testing.T) {
	m := events{seed: 3, n: 100_000, keys: 20, again: 20_000, late: 54_321, lost: 80_000}
	run := m.play()
	for _, id := range []uint64{m.again, m.late, m.lost} {
		if run.Samples[id-1].Outcome != load.OK {
			t.Fatalf("request %d was not acknowledged: plant another one", id)
		}
	}
	for _, claim := range eventClaims() {
		v := claim.Judge(run)
		found := v.Ruling == Refuted && slices.Contains(v.IDs, m.lost)
		switch v.Kind {
		case "effects":
			found = found && slices.Equal(v.IDs, []uint64{m.again, m.lost})
		case "ordered":
			found = found && slices.Contains(v.IDs, m.late) && len(v.IDs) == 4
		}
		if !found {
			t.Errorf("%s: %v by %v: %s", v.Claim, v.Ruling, v.IDs, v.Reason)
		}
	}
}

// A million events are ruled on, at links and at audits, by each claim in a few seconds.
func TestMillionEvents(t *testing.T) {
	if !*million {
		t.Skip("measures: run it with -million on a quiet machine")
	}
	for _, keys := range []uint64{20, 1000} {
		run := events{seed: 1, n: 1_000_000, keys: keys}.play()
		for _, claim := range eventClaims() {
			began := time.Now()
			v := claim.Judge(run)
			t.Logf("%d keys, %s: %v in %v", keys, v.Claim, v.Ruling, time.Since(began).Round(time.Millisecond))
			if v.Ruling != Held {
				t.Errorf("%d keys: %s: %v, %s", keys, v.Claim, v.Ruling, v.Reason)
			}
		}
	}
}

// Nothing is held by a run that put nothing to the test, or of which too little is known.
func TestEventsAreNotHeldByNothing(t *testing.T) {
	link, audit := Ordered{At: Links{"ledger"}, Writes: "order", Delivered: Links{"raw"}}, Ordered{At: Links{"booked"}, Writes: "order", Delivered: Links{"raw"}}
	effects := Effects{At: Links{"booked"}, Route: "order", Delivered: Links{"raw"}}
	unknown := link
	unknown.Delivered = nil
	parks := link
	parks.Parked = "dead"
	calm := func(run *evidence.Run) { // all is delivered once, and in order
		raw := run.Links["raw"]
		came := map[uint64]bool{}
		raw.Exchanges = slices.DeleteFunc(raw.Exchanges, func(x evidence.Exchange) bool { again := came[x.ID]; came[x.ID] = true; return again })
		slices.SortFunc(raw.Exchanges, func(a, b evidence.Exchange) int { return cmp.Compare(a.ID, b.ID) })
		for i := range raw.Exchanges {
			raw.Exchanges[i].Begin = time.Duration(raw.Exchanges[i].ID)*ms + 5*ms
			raw.Exchanges[i].End = raw.Exchanges[i].Begin + 10*time.Microsecond
		}
	}
	nothing := func(*evidence.Run) {}
	for name, c := range map[string]struct {
		claim  Claim
		model  func(m *events)
		change func(run *evidence.Run)
		want   Ruling
		says   string
	}{
		"sound":                    {link, nil, nothing, Held, "was overtaken"},
		"parked, and listed":       {parks, func(m *events) { m.parked = 2000 }, nothing, Held, "but 1 that are parked"},
		"parked, and not listed":   {link, func(m *events) { m.parked = 2000 }, nothing, Refuted, "event 2000 of key"},
		"parked, and not asked":    {parks, nil, func(run *evidence.Run) { run.Audits = run.Audits[:1] }, Inconclusive, `no link "dead"`},
		"nobody saw deliveries":    {unknown, nil, nothing, Inconclusive, "say by delivered"},
		"delivered in order":       {link, nil, calm, Inconclusive, "only 0 events were delivered after a later one"},
		"delivered once":           {effects, nil, calm, Inconclusive, "only 0 requests were delivered twice"},
		"a torn audit":             {audit, nil, func(run *evidence.Run) { run.Audits[0].Whole, run.Audits[0].Why = false, "it broke off" }, Inconclusive, "it broke off"},
		"effects of a torn audit":  {effects, nil, func(run *evidence.Run) { run.Audits[0].Whole, run.Audits[0].Why = false, "it broke off" }, Inconclusive, "it broke off"},
		"no audit":                 {audit, nil, func(run *evidence.Run) { run.Audits = nil }, Inconclusive, "has no link"},
		"in passing":               {effects, nil, func(run *evidence.Run) { run.Audits, run.Brief = nil, true }, Inconclusive, "when the run is over"},
		"a route that writes none": {link, nil, func(run *evidence.Run) { run.Access = nil }, Inconclusive, "no route writes order"},
		"what an earlier run left": {effects, nil, func(run *evidence.Run) {
			run.Audits[0].IDs = append(run.Audits[0].IDs, load.ForeignValue, load.ForeignValue)
		}, Held, "2 entries of the audit are not of this run"},
		"the last have not come yet": {effects, nil, func(run *evidence.Run) {
			run.Audits[0].IDs = slices.DeleteFunc(run.Audits[0].IDs, func(id uint64) bool { return id > 3990 })
		}, Inconclusive, "a longer run would tell"},
		"a call of nobody": {link, nil, func(run *evidence.Run) { run.Links["ledger"].Exchanges[100].ID = 0 }, Inconclusive, "that may be anybody's"},
		"an effect that is not known": {link, func(m *events) { m.lost = 2000 }, func(run *evidence.Run) {
			b := run.Links["ledger"]
			then := run.Samples[1999].Done
			at := slices.IndexFunc(b.Exchanges, func(x evidence.Exchange) bool { return x.Begin > then })
			b.Exchanges = slices.Insert(b.Exchanges, at, evidence.Exchange{ID: 2000, Begin: then, End: then + ms, Method: "POST", Ending: evidence.CallerGone})
		}, Inconclusive, "1 event of which it is not known"},
		"lost records": {link, nil, func(run *evidence.Run) { run.Lost = map[string]uint64{evidence.ValuesFile: 3} }, Inconclusive, "evidence records were lost"},
		"cut short":    {link, nil, func(run *evidence.Run) { run.Partial = true }, Inconclusive, "the run was cut short"},
	} {
		m := soundEvents(1)
		if c.model != nil {
			c.model(&m)
		}
		run := m.play()
		c.change(run)
		if v := c.claim.Judge(run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// Only what is sure is an order: what was sent before the other one was acknowledged, or
// took effect at the same time, has none.
func TestOrderOfEventsThatHaveNone(t *testing.T) {
	at := func(id uint64, sent, done, from, to time.Duration) event {
		return event{id: id, key: 1, sent: sent, done: done, acknowledged: true, firstTime: firstTime{from, to}}
	}
	for name, c := range map[string]struct {
		a, b            event
		overtaken, gaps int
	}{
		"in order":                 {at(1, 0, 1, 2, 3), at(2, 2, 3, 4, 5), 0, 0},
		"overtaken":                {at(1, 0, 1, 6, 7), at(2, 2, 3, 4, 5), 1, 0},
		"sent side by side":        {at(1, 0, 2, 6, 7), at(2, 2, 3, 4, 5), 0, 0},
		"applied side by side":     {at(1, 0, 1, 5, 7), at(2, 2, 3, 4, 5), 0, 0},
		"left out":                 {at(1, 0, 1, never, never), at(2, 2, 3, 4, 5), 0, 1},
		"perhaps left out":         {at(1, 0, 1, 1, never), at(2, 2, 3, 4, 5), 0, 0},
		"neither has taken effect": {at(1, 0, 1, never, never), at(2, 2, 3, never, never), 0, 0},
		"the other one perhaps":    {at(1, 0, 1, 6, 7), at(2, 2, 3, 4, never), 0, 0},
	} {
		var o ordering
		if o.add([]event{c.a, c.b}, nil); len(o.overtaken) != c.overtaken || len(o.gaps) != c.gaps {
			t.Errorf("%s: %d overtaken and %d left out, want %d and %d", name, len(o.overtaken), len(o.gaps), c.overtaken, c.gaps)
		}
	}
	maybe := at(1, 0, 1, 6, 7)
	maybe.acknowledged = false
	var o ordering
	if o.add([]event{maybe, at(2, 2, 3, 4, 5)}, nil); len(o.overtaken) != 0 {
		t.Errorf("one that was not acknowledged comes before none: %+v", o)
	}
}

// Where nothing took effect there was no order to keep, however events were delivered.
func TestNoOrderOfWhatTookNoEffect(t *testing.T) {
	for name, c := range map[string]struct {
		at     string
		change func(run *evidence.Run)
		says   string
	}{
		"an audit that is empty": {"booked", func(run *evidence.Run) { run.Audits[0].IDs = nil }, "no event of order took effect at booked"},
		"one of something else": {"booked", func(run *evidence.Run) {
			for i := range run.Audits[0].IDs {
				run.Audits[0].IDs[i] = load.ForeignValue
			}
		}, "no event of order took effect at booked"},
		"a link without calls": {"ledger", func(run *evidence.Run) { run.Links["ledger"].Exchanges = nil }, "no event of order took effect at ledger"},
		"a consumer that died before": {"ledger", func(run *evidence.Run) {
			l := run.Links["ledger"]
			for i := range l.Exchanges {
				if l.Exchanges[i].Begin > run.Faults[0].Injected-500*ms {
					l.Exchanges = l.Exchanges[:i]
					break
				}
			}
		}, "and took effect"},
	} {
		run := soundEvents(1).play()
		c.change(run)
		v := Ordered{At: Links{c.at}, Writes: "order", Delivered: Links{"raw"}}.Judge(run)
		if v.Ruling != Inconclusive || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %s", name, v.Ruling, v.Reason)
		}
	}
}

// A list finds each place of an id, in order, and none of one that it does not have.
func TestWhereInAListAnIDIs(t *testing.T) {
	ids := []uint64{7, 3, 7, 1 << 63, 3, 7}
	l := listOf(ids)
	for id, want := range map[uint64][]int32{7: {0, 2, 5}, 3: {1, 4}, 1 << 63: {3}, 0: nil, 5: nil, 1<<63 + 1: nil} {
		if got := l.of(id); !slices.Equal(got, want) {
			t.Errorf("%d: %v, want %v", id, got, want)
		}
	}
	if got := listOf(nil).of(1); len(got) > 0 {
		t.Errorf("of none: %v", got)
	}
}
