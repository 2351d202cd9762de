package judge

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// What a million events take of the command is measured of a directory that is there:
//
//	go test ./chaos/judge -run MillionEventsAsFiles -files DIR
//	/usr/bin/time -v stormctl judge DIR
var files = flag.String("files", "", "write the run of a million events into this `DIR`, which must not exist")

const millionEvents = `name: million
targets: {shop: {url: "http://127.0.0.1:1"}, naive: {url: "http://127.0.0.1:2"}, sink: {url: "http://127.0.0.1:3"},
  consumer: {url: "http://127.0.0.1:4"}, bank: {url: "http://127.0.0.1:5"}}
links: {raw: {from: naive, to: sink}, ledger: {from: consumer, to: bank}}
load:
  rate: 1k/s
  duration: 1000s
  keys: 20
  routes: [{name: order, to: shop, post: "/event/${key}", body: "${id}", writes: order}]
  audit: [{name: booked, to: bank, get: /booked, ids: "json:$.ids[*]"}]
chaos: [{at: 250s, for: 500s, on: raw, latency: {delay: 1ms}}]
claims:
  - effects: {at: ledger, route: order, delivered: raw}
  - effects: {at: booked, route: order, delivered: raw}
  - ordered: {at: ledger, writes: order, delivered: raw}
  - ordered: {at: booked, writes: order, delivered: raw}
`

func TestMillionEventsAsFiles(t *testing.T) {
	if *files == "" {
		t.Skip("writes 200 MB: say by -files where")
	}
	run := events{seed: 1, n: 1_000_000, keys: 20}.play()
	run.Faults[0].On, run.Faults[0].Target = "consumer", true // which has no link of its own here
	writeRun(t, *files, millionEvents, run)
	read, err := evidence.Read(*files)
	if err != nil || len(read.Flaws) > 0 || len(read.Lost) > 0 {
		t.Fatalf("%v, flaws %v, lost %v", err, read.Flaws, read.Lost)
	}
}

// writeRun writes a run as one leaves its directory: second by second, each with what its files had by then.
func writeRun(t *testing.T, dir, text string, run *evidence.Run) {
	t.Helper()
	must := func(err error) {
		if t.Helper(); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.MkdirAll(at("evidence"), 0o755))
	must(os.WriteFile(at("experiment.yaml"), []byte(text), 0o644))
	timeline := evidence.TimelineIn(inputtest.File(t, at(evidence.TimelineFile)))
	samples, err := evidence.CreateSamples(at(evidence.SamplesFile), run.Routes, 1, 0)
	must(err)
	values, err := evidence.ValuesIn(inputtest.File(t, at(evidence.ValuesFile)), 1, 0)
	must(err)
	header := &evidence.Header{Name: run.Name, Load: evidence.Seconds(run.Load), Routes: run.Routes, Faults: run.Faults,
		Access: run.Access, Keys: run.Keys}
	writers, exchanges := map[string]*evidence.ExchangeWriter{}, map[string][]evidence.Exchange{}
	for name, l := range run.Links {
		header.Links = append(header.Links, evidence.Link{Name: l.Name, From: l.From, To: l.To})
		writers[name], err = evidence.ExchangesIn(inputtest.File(t, at(evidence.ExchangesFile(name))), 0)
		must(err)
		for i := range l.Exchanges {
			l.Exchanges[i].Seq = uint64(i + 1)
		}
		exchanges[name] = slices.SortedFunc(slices.Values(l.Exchanges), func(a, b evidence.Exchange) int { return cmp.Compare(a.End, b.End) })
	}
	timeline.Add(evidence.Event{Kind: evidence.KindStart, Start: header})
	for i := range run.Faults {
		timeline.Add(evidence.Event{At: evidence.Seconds(run.Faults[i].Injected), Kind: evidence.KindInject, Fault: i + 1})
		timeline.Add(evidence.Event{At: evidence.Seconds(run.Faults[i].Healed), Kind: evidence.KindHeal, Fault: i + 1})
	}
	next := 0 // of the samples, which end nearly in order
	order := slices.SortedFunc(slices.Values(run.Samples), func(a, b load.Sample) int { return cmp.Compare(a.Done, b.Done) })
	for end := time.Second; next < len(order) || end <= run.End; end += time.Second {
		tick := evidence.Tick{Routes: map[string][load.Outcomes]uint64{}, Links: map[string]evidence.LinkTick{}}
		for ; next < len(order) && order[next].Done <= end; next++ {
			s := order[next]
			samples.Record(0, s)
			values.Keep(0, run.Values[s.ID-1].Key, s.ID)
			values.Record(0, s.ID)
			tick.Offered, tick.Ended = tick.Offered+1, tick.Ended+1
			outcomes := tick.Routes[run.Routes[s.Route]]
			outcomes[s.Outcome]++
			tick.Routes[run.Routes[s.Route]] = outcomes
		}
		samples.Flush(nil)
		values.Flush()
		for name, w := range writers {
			rest := exchanges[name]
			n, _ := slices.BinarySearchFunc(rest, end+1, func(x evidence.Exchange, t time.Duration) int { return cmp.Compare(x.End, t) })
			if end >= run.End && next == len(order) {
				n = len(rest)
			}
			w.Write(rest[:n])
			exchanges[name] = rest[n:]
			tick.Links[name] = evidence.LinkTick{Ended: uint64(n), Extent: w.Extent()}
		}
		extent := values.Extent()
		tick.Extent, tick.Values = samples.Extent(), &extent
		timeline.Add(evidence.Event{At: evidence.Seconds(end), Kind: evidence.KindTick, Tick: &tick})
	}
	timeline.Add(evidence.Event{At: evidence.Seconds(run.End), Kind: evidence.KindEnd})
	root, err := os.OpenRoot(dir)
	must(err)
	defer root.Close()
	for i := range run.Audits {
		must(evidence.WriteAudit(root, &run.Audits[i]))
		timeline.Add(evidence.Event{At: evidence.Seconds(run.Audits[i].At), Kind: evidence.KindAudit, Audit: &run.Audits[i]})
	}
	for name, w := range writers {
		if err := w.Close(); err != nil || len(exchanges[name]) > 0 {
			t.Fatalf("%s: %v, %d exchanges are not written", name, err, len(exchanges[name]))
		}
	}
	must(samples.Close())
	must(values.Close())
	must(timeline.Close())
}
