package judge

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// The whole count: go test ./chaos/judge -run ZonesAgree -histories 1000000
var histories = flag.Int("histories", 20_000, "random histories that zones and porcupine are compared on")

// What is measured wants a quiet machine: go test ./chaos/judge -run MillionOperations -million -v
var million = flag.Bool("million", false, "rule on a million operations, and say how long it took")

// registerModel is a register for porcupine: its state is the value.
var registerModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(operation); in.writes() {
			return true, in.value
		}
		return state.(uint64) == input.(operation).value, state
	},
}

// linearizableBySearch asks porcupine, which searches.
func linearizableBySearch(ops []operation) bool {
	history := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		history[i] = porcupine.Operation{ClientId: i, Input: o, Call: int64(o.start), Return: int64(o.end)}
	}
	return porcupine.CheckOperations(registerModel, history)
}

// drawHistory draws up to four writes, some not acknowledged, and up to five reads, on a
// clock so coarse that times often tie.
func drawHistory(rng *rand.Rand) []operation {
	var ops []operation
	ticks := 4 + rng.IntN(16)
	at := func() (start, end time.Duration) {
		a, b := rng.IntN(ticks), rng.IntN(ticks)
		return time.Duration(min(a, b)), time.Duration(max(a, b))
	}
	writes := 1 + rng.IntN(4)
	for id := range writes {
		o := operation{key: 1, id: uint64(id + 1), value: uint64(id + 1)}
		if o.start, o.end = at(); rng.IntN(4) == 0 {
			o.end = never
		}
		ops = append(ops, o)
	}
	for range rng.IntN(6) {
		o := operation{key: 1, id: uint64(100 + len(ops)), value: uint64(rng.IntN(writes + 1))}
		o.start, o.end = at()
		ops = append(ops, o)
	}
	return ops
}

// byZones sorts a copy as registersOf does.
func byZones(run *evidence.Run, ops []operation) register {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b operation) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
	return registerOf(run, ops, nil)
}

// A search that tries all orders says the same of each history.
func TestZonesAgreeWithASearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 1))
	without := 0
	for n := range *histories {
		ops := drawHistory(rng)
		r := byZones(&evidence.Run{}, ops)
		if got, want := !r.contradicts(), linearizableBySearch(ops); got != want {
			t.Fatalf("history %d: zones say %v, porcupine %v:\n%+v\n%+v", n, got, want, ops, r)
		}
		if r.contradicts() {
			without++
		}
	}
	if without < *histories/10 || without > *histories*9/10 {
		t.Errorf("%d of %d histories had no order: the draw shows little", without, *histories)
	}
	t.Logf("%d histories, %d without an order", *histories, without)
}

// searched has the search look at each register of a run too. A write of which it is not
// known whether it was done, and which nobody read, is no part of what is searched: it may
// never have happened, and a search would try it everywhere.
func searched(t *testing.T, run *evidence.Run) {
	t.Helper()
	registers, ops := registersOf(run, "price")
	for i := range registers {
		r := &registers[i]
		read := map[uint64]bool{}
		for _, o := range ops {
			read[o.value] = read[o.value] || o.key == r.key && !o.writes()
		}
		var own []operation
		for _, o := range ops {
			if o.key == r.key && (o.end != never || read[o.value]) {
				own = append(own, o)
			}
		}
		if got, want := !r.contradicts(), linearizableBySearch(own); got != want {
			t.Errorf("seed %d, register %d: zones say %v, porcupine %v", run.Seed, r.key, got, want)
		}
	}
}

// A history is as stale as its reads have to be moved for it to have an order: by that
// much less it has none, by that much it has one. The age of each read is no more.
func TestStalenessIsThatOfASearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 2))
	moved := func(ops []operation, by time.Duration) []operation {
		ops = slices.Clone(ops)
		for i := range ops {
			if !ops[i].writes() {
				ops[i].start -= by
			}
		}
		return ops
	}
	stale := 0
	for n := range 5_000 {
		ops := drawHistory(rng)
		for i := range ops { // a staleness is told to a microsecond
			ops[i].start *= time.Second
			if ops[i].end != never {
				ops[i].end *= time.Second
			}
		}
		r := byZones(&evidence.Run{}, ops)
		if r.phantom.how != noPhantom {
			continue
		}
		least, most := r.staleness()
		if least > most {
			t.Fatalf("history %d: stale by %v to %v", n, least, most)
		}
		if !linearizableBySearch(moved(ops, least+2*time.Microsecond)) {
			t.Fatalf("history %d: stale by more than %v:\n%+v", n, least, ops)
		}
		if least > 0 {
			stale++
			if linearizableBySearch(moved(ops, least-2*time.Microsecond)) {
				t.Fatalf("history %d: stale by less than %v:\n%+v", n, least, ops)
			}
		}
		a := r.ages()
		for _, o := range ops {
			one := aged{start: o.start, end: o.end, overwritten: a.overwritten(o.value)}
			if age := one.age(); !o.writes() && age > least+2*time.Microsecond {
				t.Fatalf("history %d: a read is %v old, and all are stale by %v at most:\n%+v", n, age, least, ops)
			}
		}
	}
	if stale < 500 {
		t.Errorf("only %d histories were stale", stale)
	}
}

// Ten million keys' worth of clients would wait for a search: a million operations are
// ruled on in the time that it takes to sort them.
func TestMillionOperations(t *testing.T) {
	if !*million {
		t.Skip("measures: run it with -million on a quiet machine")
	}
	for _, keys := range []uint64{1, 10, 1000} {
		run := bigRun(1_000_000, keys)
		began := time.Now()
		v := Linearizable{Data: "price"}.Judge(run)
		t.Logf("%d keys: %v in %v", keys, v.Ruling, time.Since(began).Round(time.Millisecond))
		if v.Ruling != Held {
			t.Errorf("%d keys: %v, %s", keys, v.Ruling, v.Reason)
		}
	}
}

// bigRun is of n operations at a time that has one order, one in ten a write, up to 16
// under way at once.
func bigRun(n int, keys uint64) *evidence.Run {
	rng := rand.New(rand.NewPCG(17, keys))
	run := dataRun(time.Duration(n+100) * 10 * time.Microsecond)
	run.Samples = make([]load.Sample, 0, n)
	run.Values = make([]evidence.Value, 0, n)
	latest := make([]uint64, keys+1)
	for i := range n {
		id, at := uint64(i+1), time.Duration(i)*10*time.Microsecond // when it takes effect
		key := 1 + rng.Uint64N(keys)
		s := load.Sample{ID: id, Route: 1, Intended: at, Sent: at, Done: at + 160*time.Microsecond, Status: 200}
		v := evidence.Value{ID: id, Key: key}
		if rng.IntN(10) == 0 {
			s.Route, latest[key] = 0, id
			if rng.IntN(100) == 0 {
				s.Outcome, s.Status = load.TimedOut, 0
			}
		}
		v.Value = latest[key]
		run.Samples, run.Values = append(run.Samples, s), append(run.Values, v)
	}
	return run
}
