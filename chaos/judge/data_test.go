package judge

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// dataRun is an empty run of a shop whose prices are written and read, with a healthy
// harness and a fault in its middle half.
func dataRun(total time.Duration) *evidence.Run {
	run := &evidence.Run{Name: "shop", End: total, Load: total, Routes: []string{"reprice", "look"}, Keys: 10,
		Access: []evidence.Access{{Route: "reprice", To: "shop", Data: "price", Writes: true}, {Route: "look", To: "shop", Data: "price"}},
		Links:  map[string]*evidence.Link{"replication": {Name: "replication", From: "copy", To: "head"}},
		Faults: []evidence.Injection{{Name: "partition on replication", Kind: "partition", On: "replication", Injected: total / 4, Healed: total / 4 * 3,
			Effects: &evidence.Effects{}}}}
	for at := time.Second; at <= total+time.Second; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	return run
}

// shopModel is a store with a primary and a replica that lags. It shares no code with
// the judge: what is stale is a delay here, and an observation there.
type shopModel struct {
	seed     uint64
	total    time.Duration
	every    time.Duration // between two requests
	keys     uint64
	replica  float64       // share of the reads that go to the replica
	lag      time.Duration // of the replica
	cut      bool          // the replica gets nothing while the fault is in force, and all of it then
	maybes   float64       // share of the writes that are not acknowledged, half of which take effect
	planted  int           // this read, counted from 1, finds what was there a second before; 0 is none
	sessions int
}

func (m shopModel) play() *evidence.Run {
	rng := rand.New(rand.NewPCG(m.seed, 17))
	run := dataRun(m.total)
	run.Seed, run.Keys, run.Sessions = m.seed, m.keys, m.sessions
	cut := run.Faults[0]
	type version struct {
		at    time.Duration
		value uint64
	}
	type read struct {
		at, key uint64
		seen    time.Duration
	}
	history := map[uint64][]version{}
	took := func() time.Duration {
		return 200*time.Microsecond + time.Duration(rng.ExpFloat64()*float64(time.Millisecond))
	}
	var reads []read
	n := 0
	for sent := time.Duration(0); sent < m.total; sent += m.every {
		id, key := uint64(len(run.Samples)+1), 1+rng.Uint64N(m.keys)
		effect := sent + took()
		s := load.Sample{ID: id, Intended: sent, Sent: sent, Done: effect + took(), Status: 200}
		v := evidence.Value{ID: id, Key: key, Value: id}
		if rng.IntN(5) == 0 {
			done := true
			if rng.Float64() < m.maybes {
				s.Outcome, s.Status = load.TimedOut, 0
				done = rng.IntN(2) == 0
				effect += time.Duration(rng.ExpFloat64() * float64(100*time.Millisecond)) // late, too
			}
			if done {
				history[key] = append(history[key], version{effect, id})
			}
		} else {
			s.Route = 1
			n++
			asOf := effect
			if rng.Float64() < m.replica {
				asOf -= m.lag
				if m.cut && effect >= cut.Injected && effect < cut.Healed {
					asOf = min(asOf, cut.Injected)
				}
			}
			if n == m.planted {
				asOf -= time.Second
			}
			reads = append(reads, read{uint64(len(run.Samples)), key, asOf})
		}
		run.Samples, run.Values = append(run.Samples, s), append(run.Values, v)
	}
	for _, list := range history {
		slices.SortFunc(list, func(a, b version) int { return int(a.at - b.at) })
	}
	for _, r := range reads {
		run.Values[r.at].Value = load.NoValue
		for _, v := range history[r.key] {
			if v.at > r.seen {
				break
			}
			run.Values[r.at].Value = v.value
		}
	}
	return run
}

func soundShop(seed uint64) shopModel {
	return shopModel{seed: seed, total: 4 * time.Second, every: 2 * time.Millisecond, keys: 5, maybes: 0.1, sessions: 20}
}

// A store with one copy is linearizable and fresh, whatever its callers do at the same
// time and whatever became of writes that were not acknowledged.
func TestSoundStoreIsNeverRefuted(t *testing.T) {
	for seed := range uint64(100) {
		run := soundShop(seed).play()
		searched(t, run)
		for _, c := range []Claim{Linearizable{Data: "price"}, Fresh{Data: "price", Within: 2 * time.Second, Sessions: FreshSessions}} {
			if v := c.Judge(run); v.Ruling != Held {
				t.Fatalf("seed %d: %s: %v, %s", seed, v.Claim, v.Ruling, v.Reason)
			}
		}
	}
}

// One stale read in 100,000 is found, and named.
func TestOneStaleReadIsFound(t *testing.T) {
	m := shopModel{seed: 3, total: 125 * time.Second, every: ms, keys: 5, planted: 54_321}
	run := m.play()
	reads := 0
	var planted uint64
	for _, s := range run.Samples {
		if s.Route == 1 {
			if reads++; reads == m.planted {
				planted = s.ID
			}
		}
	}
	if reads < 99_000 {
		t.Fatalf("only %d reads", reads)
	}
	searched(t, run)
	for _, c := range []Claim{Linearizable{Data: "price"}, Fresh{Data: "price", Within: 500 * ms}} {
		v := c.Judge(run)
		if v.Ruling != Refuted || !slices.Contains(v.IDs, planted) {
			t.Errorf("%s: %v by %v, want request %d: %s", v.Claim, v.Ruling, v.IDs, planted, v.Reason)
		}
		shown := slices.ContainsFunc(v.Exhibits, func(e Exhibit) bool {
			return e.Register != nil && slices.ContainsFunc(e.Register.Operations, func(o Operation) bool { return o.ID == planted && o.Marked })
		})
		if !shown {
			t.Errorf("%s: request %d is not drawn: %+v", v.Claim, planted, v.Exhibits)
		}
	}
	m.planted = 0
	if v := (Linearizable{Data: "price"}).Judge(m.play()); v.Ruling != Held {
		t.Errorf("without it: %v, %s", v.Ruling, v.Reason)
	}
}

// A replica that is cut off for 2 s is refuted by any bound that is clearly shorter, and
// held by any that is clearly longer.
func TestStalenessOfAReplica(t *testing.T) {
	for seed := range uint64(5) {
		m := soundShop(seed)
		m.replica, m.lag, m.cut = 0.5, 5*ms, true
		run := m.play()
		searched(t, run)
		if v := (Linearizable{Data: "price"}).Judge(run); v.Ruling != Refuted {
			t.Errorf("seed %d: linearizable: %v, %s", seed, v.Ruling, v.Reason)
		}
		for _, c := range []struct {
			within time.Duration
			want   Ruling
		}{{time.Second, Refuted}, {1900 * ms, Refuted}, {3 * time.Second, Held}, {4 * time.Second, Held}} {
			if v := (Fresh{Data: "price", Within: c.within}).Judge(run); v.Ruling != c.want {
				t.Errorf("seed %d: within %v: %v, %s", seed, c.within, v.Ruling, v.Reason)
			}
		}
		for kind, want := range map[string]Ruling{"own_writes": Refuted, "monotonic": Refuted} {
			if v := (Fresh{Data: "price", Sessions: []string{kind}}).Judge(run); v.Ruling != want {
				t.Errorf("seed %d: %s: %v, %s", seed, kind, v.Ruling, v.Reason)
			}
		}
		// A tenth of the reads or so is staler than a second.
		if v := (Fresh{Data: "price", Within: time.Second, Share: 0.5}).Judge(run); v.Ruling != Held {
			t.Errorf("seed %d: half of them: %v, %s", seed, v.Ruling, v.Reason)
		}
		if v := (Fresh{Data: "price", Within: time.Second, Share: 0.99}).Judge(run); v.Ruling != Refuted {
			t.Errorf("seed %d: 99%% of them: %v, %s", seed, v.Ruling, v.Reason)
		}
	}
}

// Reads that say what nobody wrote refute, what an earlier run left does not, and without
// a fault, reads or values nothing is held.
func TestLinearizableIsNotHeldByNothing(t *testing.T) {
	claim := Linearizable{Data: "price"}
	sound := func() *evidence.Run { return soundShop(1).play() }
	lastRead := func(run *evidence.Run) int {
		for i := len(run.Samples) - 1; ; i-- {
			if run.Samples[i].Route == 1 {
				return i
			}
		}
	}
	for name, c := range map[string]struct {
		change func(run *evidence.Run)
		want   Ruling
		says   string
	}{
		"sound":               {func(*evidence.Run) {}, Held, "agree with one order"},
		"no fault":            {func(run *evidence.Run) { run.Faults = nil }, Inconclusive, "no fault was in force"},
		"a fault for a blink": {func(run *evidence.Run) { run.Faults[0].Healed = run.Faults[0].Injected + 20*ms }, Inconclusive, "while a fault was in force"},
		"no such data":        {func(run *evidence.Run) { run.Access = nil }, Inconclusive, "no route writes or reads price"},
		"in passing":          {func(run *evidence.Run) { run.Brief = true }, Inconclusive, "when the run is over"},
		"values of an earlier run": {func(run *evidence.Run) { run.Values[lastRead(run)].Value = load.ForeignValue }, Inconclusive,
			"values that no request of this run wrote"},
		"a read of a read": {func(run *evidence.Run) {
			at := lastRead(run)
			run.Values[at].Value = run.Samples[at].ID - 1
			for run.Samples[run.Values[at].Value-1].Route == 0 {
				run.Values[at].Value--
			}
		}, Refuted, "which is none of its writes"},
		"a refused write that is there": {func(run *evidence.Run) {
			at := lastRead(run)
			run.Values[at].Value = uint64(at) // a request right before it
			run.Samples[at-1].Route, run.Samples[at-1].Outcome, run.Values[at-1].Key = 0, load.Refused, run.Values[at].Key
		}, Refuted, "which was refused"},
		"a value from the future": {func(run *evidence.Run) {
			first := slices.IndexFunc(run.Samples, func(s load.Sample) bool { return s.Route == 1 })
			for i := len(run.Samples) - 1; ; i-- {
				if run.Samples[i].Route == 0 && run.Samples[i].Outcome == load.OK && run.Values[i].Key == run.Values[first].Key {
					run.Values[first].Value = run.Samples[i].ID
					return
				}
			}
		}, Refuted, "sent after the read had ended"},
		"an acknowledged write is gone": {func(run *evidence.Run) { run.Values[lastRead(run)].Value = load.NoValue }, Refuted, "found nothing"},
		"nothing is found": {func(run *evidence.Run) {
			for i := range run.Values {
				if run.Samples[i].Route == 1 {
					run.Values[i].Value = load.NoValue
				}
			}
		}, Inconclusive, "is it where reads: says that it is"},
		"lost records": {func(run *evidence.Run) { run.Lost = map[string]uint64{evidence.ValuesFile: 3} }, Inconclusive, "evidence records were lost"},
	} {
		run := sound()
		c.change(run)
		if v := claim.Judge(run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// What a warm-up wrote is there when the clock begins, and contradicts nothing.
func TestValuesOfTheWarmupContradictNothing(t *testing.T) {
	run := soundShop(1).play()
	const earlier = 1000
	for i := range run.Samples { // the warm-up had the first thousand
		run.Samples[i].ID += earlier
		run.Values[i].ID += earlier
		if run.Values[i].Value != load.NoValue {
			run.Values[i].Value += earlier
		} else {
			run.Values[i].Value = run.Values[i].Key // what the warm-up wrote to each key
		}
	}
	for _, c := range []Claim{Linearizable{Data: "price"}, Fresh{Data: "price", Within: 2 * time.Second}} {
		if v := c.Judge(run); v.Ruling != Held {
			t.Errorf("%s: %v, %s", v.Claim, v.Ruling, v.Reason)
		}
	}
	last := len(run.Samples) - 1
	for run.Samples[last].Route != 1 {
		last--
	}
	run.Values[last].Value = run.Values[last].Key
	if v := (Linearizable{Data: "price"}).Judge(run); v.Ruling != Refuted {
		t.Errorf("what it wrote comes back in the end: %v, %s", v.Ruling, v.Reason)
	}
}

// Reads of registers that nobody has written to find nothing, whoever answers them: they
// put neither an order nor the healing of a replica to the test.
func TestReadsOfWhatNobodyWroteHoldNothing(t *testing.T) {
	unwritten := func(run *evidence.Run) { // as of the fault, all reads are of another register
		for i := range run.Samples {
			if s := &run.Samples[i]; s.Route == 1 && s.Sent >= run.Faults[0].Injected {
				run.Values[i].Key, run.Values[i].Value = 99, load.NoValue
			}
		}
	}
	for _, c := range []struct {
		claim Claim
		says  string
	}{
		{Linearizable{Data: "price"}, "only 0 reads of what had been written"},
		{Available{Routes: []string{"look"}, Success: 0.9, Data: "price", ConvergesWithin: 100 * ms}, "only 0 reads of what had been written of price"},
	} {
		run := soundShop(1).play()
		if v := c.claim.Judge(run); v.Ruling != Held {
			t.Errorf("%s: %v, %s", v.Claim, v.Ruling, v.Reason)
		}
		unwritten(run)
		if v := c.claim.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s, of other registers: %v, %s", v.Claim, v.Ruling, v.Reason)
		}
	}
}

// A share of reads is fresh enough only if some could be stale: in 100,000 registers hardly
// any read follows a write of its own.
func TestShareOfReadsThatCouldBeStale(t *testing.T) {
	m := soundShop(1)
	m.keys, m.replica, m.lag = 100_000, 1, 50*ms
	run := m.play()
	run.Values[len(run.Values)-1] = evidence.Value{ID: run.Samples[len(run.Samples)-1].ID, Key: 1}
	for i := range run.Samples { // one read finds what was written
		if s := &run.Samples[i]; s.Route == 0 && s.Outcome == load.OK {
			at := len(run.Samples) - 1
			run.Samples[at].Route, run.Values[at].Key, run.Values[at].Value = 1, run.Values[i].Key, s.ID
			break
		}
	}
	v := Fresh{Data: "price", Within: 10 * ms, Share: 0.5}.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "began within 1.0 s of a write of the same key") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// A plan whose registers are so many that hardly one is written to before it is read is
// warned of.
func TestPowerOfReadsOfWhatNobodyWrote(t *testing.T) {
	for keys, warned := range map[int]bool{5: false, 100_000: true} {
		p := planOf(200, 10*time.Second, faultOf("partition", 2*time.Second, 6*time.Second))
		p.Keys = keys
		p.Routes = []PlannedRoute{{Name: "reprice", Writes: "price", Share: 0.5}, {Name: "look", Reads: "price", Share: 0.5}}
		if found := (Linearizable{Data: "price"}).Power(p); (len(found) > 0) != warned {
			t.Errorf("%d keys: %+v", keys, found)
		}
	}
}
