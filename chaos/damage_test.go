package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

var damages = flag.Int("damages", 20, "how often records of a run are removed, repeated and exchanged at random")

// TestDamagedRunsAreNotRuledOn: with records gone, there again or exchanged at random in
// ten runs, nothing is held or refuted, and each claim names the file and the second.
// Whole runs are ruled on, with the sums of their files and without.
func TestDamagedRunsAreNotRuledOn(t *testing.T) {
	const seconds = 6
	var dirs []string
	for k := range 10 {
		rate := 100 + 20*k
		for _, sums := range []bool{false, true} {
			dir := runDir(t, seconds*rate, rate, allClaims, sums)
			r, err := Judge(dir)
			if err != nil {
				t.Fatal(err)
			}
			ruled := func(as judge.Ruling) bool {
				return slices.ContainsFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Ruling == as })
			}
			if !ruled(judge.Held) || !ruled(judge.Refuted) || r.Harness.Lost > 0 {
				t.Fatalf("%d/s, sums %v, whole: lost %d, %+v", rate, sums, r.Harness.Lost, r.Verdicts)
			}
			if sums {
				dirs = append(dirs, dir)
			}
		}
	}
	for seed := range *damages {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		dir := dirs[seed%len(dirs)]
		file := []string{evidence.SamplesFile, evidence.ExchangesFile("bank")}[rng.IntN(2)]
		path := filepath.Join(dir, file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, how := damaged(string(whole), rng)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Judge(dir)
		if err != nil {
			t.Fatalf("seed %d, %s: %v", seed, how, err)
		}
		for _, v := range r.Verdicts {
			if v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, file) || !strings.Contains(v.Reason, ", the first between ") {
				t.Errorf("seed %d, %s, %s: %s %s: %s", seed, file, how, v.Kind, v.Ruling, v.Reason)
			}
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// damaged is a file of records with some of them removed, repeated or exchanged.
func damaged(text string, rng *rand.Rand) (damaged, how string) {
	rows := strings.SplitAfter(text, "\n")
	rows = rows[:len(rows)-1]
	i := 1 + rng.IntN(len(rows)-2)
	j := i + 1 + rng.IntN(len(rows)-i-1)
	switch rng.IntN(3) {
	case 0:
		rows, how = slices.Delete(rows, i, j), fmt.Sprintf("rows %d to %d removed", i, j)
	case 1:
		rows, how = slices.Insert(rows, j, rows[i]), fmt.Sprintf("row %d again as %d", i, j)
	default:
		rows[i], rows[j] = rows[j], rows[i]
		how = fmt.Sprintf("rows %d and %d exchanged", i, j)
	}
	return strings.Join(rows, ""), how
}

const dataClaims = `
  - steady: {success: 99%}
  - linearizable: {data: price}
  - durable: {writes: order, in: orders}
  - durable: {writes: order, in: fewer}
`

// dataDir makes the directory of a run whose load agents sent, and which writes and reads
// data: a register with a stale read, orders of which one audit has all, and another lacks some.
func dataDir(t *testing.T, seconds, rate int) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(subdirs(dir))
	must(os.WriteFile(filepath.Join(dir, ExperimentFile), fmt.Appendf(nil, `
name: data
targets: {shop: {url: "http://127.0.0.1:1"}}
load:
  rate: %d/s
  duration: %ds
  keys: 3
  routes:
    - {name: reprice, to: shop, put: "/price/${key}", body: "${id}", writes: price}
    - {name: look, to: shop, get: "/price/${key}", reads: {price: "json:$.v"}}
    - {name: order, to: shop, post: "/order/${id}", writes: order}
  audit:
    - {name: orders, to: shop, get: /orders, ids: "json:$[*]"}
    - {name: fewer, to: shop, get: /fewer, ids: "json:$[*]"}
claims:%s`, rate, seconds, dataClaims), 0o600))
	routes := []string{"reprice", "look", "order"}
	tl := evidence.TimelineIn(inputtest.File(t, filepath.Join(dir, evidence.TimelineFile)))
	at := func(d time.Duration) evidence.Seconds { return evidence.Seconds(d) }
	length := time.Duration(seconds) * time.Second
	tl.Add(evidence.Event{Kind: evidence.KindStart, Start: &evidence.Header{Name: "data", Load: at(length), Routes: routes, Keys: 3, Access: []evidence.Access{
		{Route: "reprice", To: "shop", Data: "price", Writes: true}, {Route: "look", To: "shop", Data: "price"}, {Route: "order", To: "shop", Data: "order", Writes: true}}}})
	sampleWriter, err := evidence.CreateSamples(filepath.Join(dir, evidence.SamplesFile), routes, 1, 0)
	must(err)
	values, err := evidence.ValuesIn(inputtest.File(t, filepath.Join(dir, evidence.ValuesFile)), 1, 0)
	must(err)
	var orders, fewer []uint64
	var last uint64 // written to the register
	for s := range seconds {
		tick := evidence.Tick{Offered: uint64(rate), Ended: uint64(rate), Routes: map[string][load.Outcomes]uint64{}}
		for i := range rate {
			id, key := uint64(s*rate+i+1), uint64(1+i%3)
			due := time.Duration(s)*time.Second + time.Duration(i)*time.Second/time.Duration(rate)
			sample := load.Sample{ID: id, Route: i % 3, Intended: due, Sent: due, Done: due + time.Millisecond/2, Status: 200}
			value := id
			switch i % 3 {
			case 0:
				key, last = 1, id
			case 1:
				if key, value = 1, last; s == 2 && i == 1 {
					value = 1 // which was written over long ago
				}
			default:
				orders = append(orders, id)
				if i%6 == 2 {
					fewer = append(fewer, id)
				}
			}
			sampleWriter.Record(0, sample)
			values.Keep(0, key, value)
			values.Record(0, id)
			counts := tick.Routes[routes[i%3]]
			counts[load.OK]++
			tick.Routes[routes[i%3]] = counts
		}
		sampleWriter.Flush(nil)
		values.Flush()
		extent := values.Extent()
		tick.Extent, tick.Values = sampleWriter.Extent(), &extent
		end := at(time.Duration(s+1) * time.Second)
		for _, agent := range []string{"eu", "us"} {
			tl.Add(evidence.Event{At: end, Kind: evidence.KindAgent, Agent: agent, Tick: &evidence.Tick{Cores: 2, HiccupMax: at(time.Millisecond)}})
		}
		tl.Add(evidence.Event{At: end, Kind: evidence.KindTick, Tick: &tick})
	}
	root, err := os.OpenRoot(dir)
	must(err)
	defer root.Close()
	for name, ids := range map[string][]uint64{"orders": orders, "fewer": fewer} {
		audit := &evidence.Audit{Name: name, Status: 200, Whole: true, IDs: ids}
		must(evidence.WriteAudit(root, audit))
		tl.Add(evidence.Event{At: at(length + time.Second), Kind: evidence.KindAudit, Audit: audit})
	}
	tl.Add(evidence.Event{At: at(length), Kind: evidence.KindEnd})
	for _, err := range []error{sampleWriter.Close(), values.Close(), tl.Close()} {
		must(err)
	}
	return dir
}

// TestDamagedDataIsNotRuledOn: the same of what was written and read, of what audits
// found, and of the timeline, which has the harness of agents in it.
func TestDamagedDataIsNotRuledOn(t *testing.T) {
	var dirs []string
	whole := map[string]judge.Ruling{} // by claim
	for k := range 10 {
		dir := dataDir(t, 5, 60+6*k)
		r, err := Judge(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range r.Verdicts { // without a crash nothing durable is held
			if want := []judge.Ruling{judge.Held, judge.Refuted, judge.Inconclusive, judge.Refuted}[i]; v.Ruling != want {
				t.Fatalf("whole: %s: %s: %s", v.Claim, v.Ruling, v.Reason)
			}
			whole[v.Claim] = v.Ruling
		}
		dirs = append(dirs, dir)
	}
	files := []string{evidence.SamplesFile, evidence.ValuesFile, evidence.TimelineFile, evidence.AuditFile("orders"), evidence.AuditFile("fewer")}
	for seed := range *damages {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		dir, file := dirs[seed%len(dirs)], files[rng.IntN(len(files))]
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		other, how := damaged(string(text), rng)
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Judge(dir)
		if err != nil {
			t.Fatalf("seed %d, %s, %s: %v", seed, file, how, err)
		}
		for i, v := range r.Verdicts {
			rests := !strings.Contains(file, "audit-") || i == 2 && strings.Contains(file, "orders") || i == 3 && strings.Contains(file, "fewer")
			switch {
			case !rests && v.Ruling != whole[v.Claim]:
				t.Errorf("seed %d, %s, %s: %s rests on it no more than before, and is %s: %s", seed, file, how, v.Claim, v.Ruling, v.Reason)
			case rests && (v.Ruling != judge.Inconclusive || whole[v.Claim] != judge.Inconclusive && !strings.Contains(v.Reason, file)):
				t.Errorf("seed %d, %s, %s: %s %s: %s", seed, file, how, v.Claim, v.Ruling, v.Reason)
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
