package chapters

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/input/inputtest"
	"github.com/stormctl/stormctl/load/wire"
)

// model records a soak through a Writer without any waiting: 50 requests a second, each
// with two calls, that take up to 3 s.
type model struct {
	t            *testing.T
	dir          string
	w            *Writer
	sampleWriter *evidence.SampleWriter
	closed       []Closed

	todo  []pending // requests and calls by when they end
	now   time.Duration
	next  int // arrival
	rate  int
	end   time.Duration
	rng   *rand.Rand
	extra bool // each request has a line in another file of evidence
	slow  func(arrival int) time.Duration
}

type pending struct {
	at     time.Duration
	sample load.Sample
	calls  []evidence.Exchange
}

func newModel(t *testing.T, plan Plan) *model {
	t.Helper()
	m := &model{t: t, dir: t.TempDir(), rate: 50, end: plan.End, rng: rand.New(rand.NewPCG(1, 2))}
	h := evidence.Header{Name: "x", Soak: true, Started: time.Unix(1000, 0), Load: evidence.Seconds(plan.End), Routes: []string{"pay", "step"},
		Links: []evidence.Link{{Name: "bank", From: "a", To: "b"}}}
	m.sampleWriter = evidence.NewSamples(h.Routes, 1)
	var err error
	m.w, err = New(Config{Root: inputtest.Root(t, m.dir), Header: h, Plan: plan, Most: evidence.MaxFileSize, Settle: 4 * time.Second, First: 1,
		Schedule: arrivals.Constant(50, plan.End),
		Offered:  func(from, to time.Duration) uint64 { return uint64((to - from).Seconds() * 50) },
		Faults: func(from, to time.Duration) (all []evidence.Injection) {
			for at := 2 * time.Second; at < to; at += 10 * time.Second {
				if at >= from {
					all = append(all, evidence.Injection{Index: 3, Name: "f", Kind: "errors", On: "bank", At: evidence.Seconds(at)})
				}
			}
			return all
		},
		Closed: func(c Closed) { m.closed = append(m.closed, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// until lets the soak go on in steps of 100 ms, with a tick each second.
func (m *model) until(to time.Duration) {
	for m.now < to {
		m.now += 100 * time.Millisecond
		now := m.now
		for due := m.due(); due < now && due < m.end; due = m.due() {
			m.arrive(due)
		}
		m.todo = slices.DeleteFunc(m.todo, func(p pending) bool {
			if p.at > now {
				return false
			}
			if p.sample.ID > 0 {
				m.sampleWriter.Record(0, p.sample)
				if m.extra {
					m.w.Line("evidence/more.csv", "id\n", p.sample.ID, p.sample.Intended, []byte("1\n"))
				}
			}
			m.w.Exchanges("bank", p.calls)
			return true
		})
		m.sampleWriter.Drain(nil, m.w.Sample)
		m.w.Flush(now)
		if now%time.Second == 0 {
			m.w.Tick(now-time.Second, now, evidence.Tick{Cores: 2, Links: map[string]evidence.LinkTick{"bank": {}}})
		}
	}
}

func (m *model) due() time.Duration {
	return time.Duration(m.next) * time.Second / time.Duration(m.rate)
}

func (m *model) arrive(due time.Duration) {
	m.next++
	id := uint64(m.next)
	took := time.Duration(m.rng.Float64() * float64(3*time.Second))
	if m.slow != nil {
		took = max(took, m.slow(m.next))
	}
	s := load.Sample{ID: id, Intended: due, Sent: due, Done: due + took, Status: 200}
	m.todo = append(m.todo, pending{at: s.Done, sample: s})
	step := load.Sample{ID: wire.SeqOf(id, 1), Route: 1, Step: 1, Intended: s.Done, Sent: s.Done, Done: s.Done + took/4, Status: 200}
	m.todo = append(m.todo, pending{at: step.Done, sample: step})
	for i := range 2 { // the second call ends after its request
		begin := due + took*time.Duration(i)*9/10
		m.todo = append(m.todo, pending{at: begin + took/4, calls: []evidence.Exchange{{Seq: 2*id + uint64(i), ID: id, Conn: 1,
			Begin: begin, End: begin + took/4, Method: "GET", Path: "/", Status: 200}}})
	}
}

// Whatever ends on which side of a border: each request is in the chapter in which it
// was due, with its steps and calls, once, and the counts of the seconds agree.
func TestRequestsBelongToTheirChapter(t *testing.T) {
	m := newModel(t, Plan{Length: 10 * s, End: 45 * s, Repeats: true})
	m.extra = true
	for k := range 5 {
		at := time.Duration(k)*10*s + 2*s
		m.until(at)
		m.w.Add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindInject, Fault: 4, Text: "f"})
		if k < 4 {
			m.until(at + 3*s)
			m.w.Add(evidence.Event{At: evidence.Seconds(at + 3*s), Kind: evidence.KindHeal, Fault: 4, Hit: 7})
		}
	}
	m.until(55 * s)
	if err := m.w.Close(m.end); err != nil {
		t.Fatal(err)
	}
	if len(m.closed) != 5 {
		t.Fatalf("%d chapters: %+v", len(m.closed), m.closed)
	}
	seen := map[uint64]int{}
	for k, c := range m.closed {
		if k == 2 {
			if err := new(evidence.Packer).Pack(inputtest.Root(t, c.Dir)); err != nil {
				t.Fatal(err)
			}
		}
		run, err := evidence.Read(c.Dir)
		if err != nil {
			t.Fatal(err)
		}
		from, to := time.Duration(k)*10*s, min(time.Duration(k+1)*10*s, m.end)
		if c.Number != k+1 || c.From != from || c.To != to || run.End != to-from || run.Partial || !run.Started.Equal(time.Unix(1000, 0).Add(from)) {
			t.Errorf("chapter %d: %+v, %v, partial %v, started %v", k+1, c, run.End, run.Partial, run.Started)
		}
		if len(run.Flaws) > 0 || len(run.Lost) > 0 {
			t.Errorf("chapter %d: %v, lost %v", k+1, run.Flaws, run.Lost)
		}
		want := int((to - from).Seconds() * 50)
		calls := run.Links["bank"].Exchanges
		if len(run.Samples) != 2*want || len(calls) != 2*want {
			t.Errorf("chapter %d: %d samples and %d calls, want %d", k+1, len(run.Samples), len(calls), 2*want)
		}
		for i := range run.Samples {
			x := &run.Samples[i]
			seen[x.ID]++
			if due := time.Duration(wire.ArrivalOf(x.ID)-1)*s/50 - from; x.Step == 0 && wire.ArrivalOf(x.ID) == x.ID && x.Intended != due {
				t.Fatalf("chapter %d: request %d is due at %v, want %v", k+1, x.ID, x.Intended, due)
			}
		}
		for i := range calls {
			if _, ok := run.Sample(calls[i].ID); !ok {
				t.Fatalf("chapter %d: a call of request %d, which is not in it", k+1, calls[i].ID)
			}
		}
		if len(run.Faults) != 1 || run.Faults[0].Index != 3 || run.Faults[0].Injected != 2*s || run.Faults[0].At.Duration() != 2*s {
			t.Errorf("chapter %d: %+v", k+1, run.Faults)
		}
		if healed := run.Faults[0].Healed; k < 4 && healed != 5*s || k == 4 && healed != -1 {
			t.Errorf("chapter %d: healed at %v", k+1, healed)
		}
	}
	if len(seen) != 2*45*50 {
		t.Errorf("%d requests, want %d", len(seen), 2*45*50)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("request %d is in %d chapters", id, n)
		}
	}
}

// A border waits for what has not healed, and what comes twice before it says that
// nothing can be told of the chapter.
func TestABorderWaitsForTheHealing(t *testing.T) {
	m := newModel(t, Plan{Length: 10 * s, End: 40 * s, Repeats: true})
	m.until(2 * s)
	m.w.Add(evidence.Event{At: evidence.Seconds(2 * s), Kind: evidence.KindInject, Fault: 4, Text: "f"})
	m.until(11 * s)
	m.w.Add(evidence.Event{At: evidence.Seconds(11 * s), Kind: evidence.KindHeal, Fault: 4})
	m.until(12 * s)
	m.w.Add(evidence.Event{At: evidence.Seconds(12 * s), Kind: evidence.KindInject, Fault: 4, Text: "f"})
	m.until(22 * s)
	m.w.Add(evidence.Event{At: evidence.Seconds(22 * s), Kind: evidence.KindInject, Fault: 4, Text: "f"})
	m.w.Add(evidence.Event{At: evidence.Seconds(23 * s), Kind: evidence.KindHeal, Fault: 4, Text: "f", Error: "broken"})
	m.until(45 * s)
	if err := m.w.Close(m.end); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range m.closed {
		run, err := evidence.Read(c.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Flaws) > 0 {
			t.Errorf("chapter %d: %v", c.Number, run.Flaws)
		}
		got = append(got, c.From.String()+" "+run.Blank)
	}
	if len(got) != 4 || got[0] != "0s " || !strings.HasPrefix(got[1], "11.") || !strings.Contains(got[1], "came twice") ||
		!strings.Contains(got[2], "could not be healed") {
		t.Errorf("%q", got)
	}
}

// A request that is still under way when its chapter is closed is missed there, and
// known to be. Calls for it that end later are missed in the chapter of that time.
func TestWhatDoesNotEndIsMissed(t *testing.T) {
	m := newModel(t, Plan{Length: 10 * s, End: 30 * s, Repeats: true})
	m.slow = func(arrival int) time.Duration {
		if arrival == 499 {
			return 12 * s
		}
		return 0
	}
	m.until(40 * s)
	if err := m.w.Close(m.end); err != nil {
		t.Fatal(err)
	}
	run, err := evidence.Read(m.closed[0].Dir)
	if err != nil || run.Lost["records"] != 1 || len(run.Flaws) > 0 {
		t.Errorf("%v, lost %v, %v", err, run.Lost, run.Flaws)
	}
	for i, want := range []uint64{0, 1} { // the second call of the late one ends after 23 s
		if later, err := evidence.Read(m.closed[1+i].Dir); err != nil || later.Lost["records"] != want {
			t.Errorf("%v, lost %v in chapter %d, want %d", err, later.Lost, 2+i, want)
		}
	}
}

// What ends between the last two ticks, however close they are, is counted.
func TestTheLastPieceOfASecondIsCounted(t *testing.T) {
	for _, extra := range []time.Duration{100 * time.Millisecond, 400 * time.Millisecond} {
		m := newModel(t, Plan{Length: 10 * s, End: 20*s + extra, Repeats: true})
		m.until(20*s + extra)
		m.w.Tick(20*s, 20*s+extra, evidence.Tick{Links: map[string]evidence.LinkTick{"bank": {}}})
		if err := m.w.Close(m.end); err != nil || len(m.closed) != 3 {
			t.Fatalf("%v, %d chapters", err, len(m.closed))
		}
		for _, c := range m.closed {
			if run, err := evidence.Read(c.Dir); err != nil || len(run.Flaws) > 0 {
				t.Errorf("chapter %d: %v, %v", c.Number, err, run.Flaws)
			}
		}
	}
}
