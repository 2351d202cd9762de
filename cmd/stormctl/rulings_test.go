package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
)

var (
	rulingRounds = flag.Int("rulings", 0, "rounds of TestRulings, quiet and busy; 0 leaves it out")
	rulingJobs   = flag.Int("jobs", 4, "runs at a time in TestRulings")
	rulingOnly   = flag.String("only", "", "a regular expression: the experiments of TestRulings that match it")
	rulingSet    = flag.String("set", "", "KEY=VALUE for every run of TestRulings: load.rate=1k/s, for one")
	rulingHalf   = flag.String("half", "", "quiet or busy: only this half of TestRulings; both without")
	rulingBusy   = flag.Int("busy", 1, "cores that TestRulings keeps busy in its second half")
)

// A rulingCase is an experiment and the one claim that it must refute.
type rulingCase struct {
	name    string // "" if its file and first setting are
	file    string
	set     []string
	also    []string // further settings, which are no part of its name
	refutes string   // kind of the claim; "" if all must hold
	loses   *records // nil if it always does; else it does where its run has lost some of these, and all must hold where it has not
	known   []truth  // what is true of it, if it is none of the examples
}

func (c rulingCase) String() string {
	if c.name != "" {
		return c.name
	}
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(c.file), "../../examples/"), ".yaml")
	if len(c.set) > 0 {
		name += " " + c.set[0][strings.LastIndex(c.set[0], ".")+1:]
	}
	return name
}

// open is the claim that a flaw may leave nothing to rule on: who waits for ever
// fails no request, so there is no goodput to come back, and who repeats at once what
// breaks on reused connections does what HTTP libraries do by themselves, so that it is
// not known how often the policy tried.
func (c rulingCase) open() string {
	switch {
	case c.refutes == "timeout":
		return "recovery"
	case filepath.Base(c.file) == "backoff-immediate.yaml":
		return "retry"
	}
	return ""
}

// refutedBy tells which claim each flaw contradicts.
var refutedBy = map[string]string{
	"breaker-never-opens": "breaker", "breaker-opens-late": "breaker", "breaker-keeps-calling": "breaker",
	"breaker-half-open-flood": "breaker", "breaker-never-closes": "breaker", "breaker-trips-on-4xx": "breaker",
	"backoff-immediate": "backoff", "backoff-no-growth": "backoff", "backoff-no-jitter": "backoff", "backoff-ignores-retry-after": "backoff",
	"backoff-unbounded": "retry", "backoff-retries-400": "retry", "backoff-retries-post": "retry",
	"bulkhead-shared-pool": "bulkhead", "bulkhead-over-limit": "bulkhead", "bulkhead-slow-reject": "bulkhead", "bulkhead-leaks": "bulkhead",
	"timeout-none":      "timeout",
	"chatty-n-plus-one": "fanout", "chatty-serial": "fanout",
	"fallback-errors-only":    "stands",
	"shed-unbounded-queue":    "shed",
	"grpc-retries-any":        "retry",
	"idempotent-dedupes-late": "effects", "metastable-unbounded-queue": "recovery",
	"growth-hoards":                 "growth",
	"slo-errors-only":               "slo",
	"stale-price-never-invalidates": "fresh",
	"durable-async-commit":          "durable", "failover-no-wait": "durable",
	"regions-slow": "failover", "regions-flapping": "failover", "regions-lossy": "failover",
	"stampede-no-idle-timeout": "connections", "cache-stampedes": "stampede",
	"events-applies-gap": "ordered", "events-forgets-after-restart": "effects", "events-skips-event": "conserved",
	"backlog-no-headroom": "drains", "backlog-drops-oldest": "drains", "backlog-acks-first": "drains",
	"broker-unconfirmed": "durable", "rabbitmq-unconfirmed": "durable",
	"saga-no-compensation": "conserved", "saga-compensates-twice": "conserved", "saga-forgets-on-crash": "conserved",
	"saga-treats-timeout-as-failure": "conserved",
	"cap-serializable":               "linearizable",
}

// libraries are the sound examples with the other libraries people use.
//
// hystrix opens by percentage of the last 10 s, successes before the fault
// included: 20 failures are 1% of more than it can have seen by then.
var libraries = map[string][][]string{
	"breaker": {
		{"targets.checkout.with.breaker=failsafe"},
		{"targets.checkout.with.breaker=hystrix", "targets.checkout.with.error_percent=1", "claims[1].breaker.failures=20"},
	},
	"backoff":  {{"targets.orders.with.retry=retryablehttp"}, {"targets.orders.with.retry=failsafe"}},
	"bulkhead": {{"targets.shop.with.bulkhead=failsafe"}},
}

// variants are examples with settings that their comments name: some refute a claim, and
// some are to hold with what is honest of them. TestRulings alone runs them.
var variants = []rulingCase{
	{file: "../../examples/stale-price.yaml", set: []string{"claims[1].fresh.within=2s"}, refutes: "fresh"},
	{file: "../../examples/stale-price.yaml", set: []string{"claims[1]={linearizable: {data: price}}"}, refutes: "linearizable"},
	{file: "../../examples/stampede.yaml", set: []string{"chaos[0].restart.rolling=false"}, refutes: "connections"},
	{file: "../../examples/cache.yaml", set: []string{"targets.cache.with.fill=aside"}, refutes: "stampede"},
	{file: "../../examples/cache.yaml", set: []string{"targets.cache.with.fill=xfetch"}, refutes: "stampede"},
	{name: "cache fill=xfetch, given room", file: "../../examples/cache.yaml",
		set: []string{"targets.cache.with.fill=xfetch", "claims[1].stampede.at_once=50", "claims[1].stampede.per_expiry=80"}},
	{name: "cache fill=aside, given room", file: "../../examples/cache.yaml",
		set: []string{"targets.cache.with.fill=aside", "claims[1].stampede.at_once=50", "claims[1].stampede.per_expiry=80"}, refutes: "stampede"},
	{name: "events at 1,000/s", file: "../../examples/events.yaml", set: []string{"load.rate=1k/s"}},
	{name: "events at 1,000/s, naive: applied twice", file: "../../examples/events.yaml",
		set: []string{"load.rate=1k/s", naive, appliedOnce}, refutes: "effects"},
	{name: "events at 1,000/s, naive: overtaken", file: "../../examples/events.yaml",
		set: []string{"load.rate=1k/s", naive, "claims=[{ordered: {at: booked, writes: sale, delivered: deliveries}}]"}, refutes: "ordered"},
	{name: "events at 1,000/s, dedupe=memory", file: "../../examples/events.yaml",
		set: []string{"load.rate=1k/s", "targets.stock.with.dedupe=memory"}, refutes: "effects"},
	{name: "events at 1,000/s, acks-first", file: "../../examples/events.yaml",
		set: []string{"load.rate=1k/s", "targets.stock.with.flaw=acks-first", dieInHand, appliedOnce}, refutes: "effects"},
	{name: "backlog of 10 s", file: "../../examples/backlog.yaml", set: tenSeconds, known: []truth{most(1, "drains.within", 4*time.Second)}},
	{name: "backlog of 10 s, headroom 1.05", file: "../../examples/backlog.yaml",
		set: append(slices.Clip(tenSeconds), "targets.stock.with.flaw=no-headroom"), refutes: "drains"},
	// It loses what it has had for some milliseconds when it is killed, and nothing if it has had nothing since it last wrote.
	{file: "../../examples/broker.yaml", set: []string{"targets.shop.with.persist=async"}, refutes: "durable",
		loses: &records{"sold", "booked"}},
	{file: "../../examples/cluster.yaml", set: []string{"targets.shop.with.confirms=off"}, refutes: "durable"},
	{name: "rabbitmq, acknowledgements cut", file: "../../examples/rabbitmq.yaml", set: []string{rabbitCut, rabbitCutClaims}},
	{name: "rabbitmq, acknowledgements cut, dedupe=none", file: "../../examples/rabbitmq.yaml",
		set: []string{rabbitCut, rabbitCutClaims, "targets.stock.with.dedupe=none"}, refutes: "effects"},
}

// Of events: a consumer that takes them as they come, and one that dies while it has some that its ledger refuses.
const (
	naive       = "targets.stock.with={order: none, dedupe: none, ack_wait: 2s}"
	appliedOnce = "claims=[{effects: {at: booked, route: sold, delivered: deliveries}}]"
	dieInHand   = "chaos=[{at: 2s, for: 3s, on: events, direction: upstream, partition: {}}, " +
		"{at: 4500ms, for: 300ms, on: events, reset_peer: {}}, {at: 6500ms, for: 1s, on: ledger, errors: {status: 503, share: 100%}}, {at: 7s, for: 300ms, on: stock, kill: {}}]"
)

// Of backlog: 2,000 at 600 - 200 in a second take 5 s.
var tenSeconds = []string{"load.duration=20s", "chaos[1].for=10s", "claims[1].drains.within=7s"}

// What RabbitMQ has had no acknowledgement of it delivers again once the connection is lost:
// in order, so that there is nothing for ordered to rule on.
const (
	rabbitCut = "chaos=[{at: 2s, for: 1s, on: events, direction: upstream, partition: {}}, " +
		"{at: 2500ms, for: 200ms, on: events, reset_peer: {}}, {at: 4s, for: 300ms, on: stock, kill: {}}]"
	rabbitCutClaims = "claims=[{steady: {success: 99%, p99: 2s}}, {effects: {at: booked, route: sold, delivered: deliveries}}]"
)

func rulingCases(t *testing.T) []rulingCase {
	t.Helper()
	var cases []rulingCase
	sound, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(sound) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range sound {
		cases = append(cases, rulingCase{file: file})
		for _, set := range libraries[strings.TrimSuffix(filepath.Base(file), ".yaml")] {
			cases = append(cases, rulingCase{file: file, set: set})
		}
	}
	broken, err := filepath.Glob("../../examples/broken/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != len(refutedBy) {
		t.Errorf("%d broken examples, %d known flaws", len(broken), len(refutedBy))
	}
	for _, file := range broken {
		claim, ok := refutedBy[strings.TrimSuffix(filepath.Base(file), ".yaml")]
		if !ok {
			t.Errorf("%s: nobody says what it refutes", file)
		}
		cases = append(cases, rulingCase{file: file, refutes: claim})
	}
	return cases
}

// Each flaw refutes exactly its own claim, the sound services none. A wrong
// ruling is wrong at once. Those that are left open are tried again with fewer at
// a time: four may be more than the machine has cores for.
func TestHarnessRefutes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every example")
	}
	t.Parallel()
	cases := rulingCases(t)
	open := dealtOut(longestFirst(t, cases), 8)
	for _, jobs := range []int{4, 2, 1} {
		var mu sync.Mutex
		var again []int
		t.Run(fmt.Sprintf("%d at a time", jobs), func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			running := make(chan struct{}, jobs)
			for _, i := range open { // in this order, which t.Parallel does not keep
				running <- struct{}{}
				wg.Go(func() {
					defer func() { <-running }()
					t.Run(cases[i].String(), func(t *testing.T) {
						if tryCase(t, cases[i], 100*i+jobs, jobs == 1) == leftOpen {
							mu.Lock()
							defer mu.Unlock()
							again = append(again, i)
						}
					})
				})
			}
		})
		slices.Sort(again)
		open = again
	}
}

// tryCase runs a case, and fails the test where its outcome is none that may be: left open
// is one unless it is the last that is tried, with nothing beside it of ours.
func tryCase(t *testing.T, c rulingCase, seed int, last bool) outcome {
	t.Helper()
	got := c.run(t.Context(), seed, oneStep)
	t.Logf("%.1f s, in which it used %.2f cores", got.took.Seconds(), got.cpu.Seconds()/max(1e-3, got.took.Seconds()))
	switch {
	case got.outcome == right:
	case got.outcome != leftOpen:
		t.Errorf("seed %d is not as it must be:%s", seed, got.detail)
	case !last:
		t.Logf("seed %d left it open:%s", seed, got.detail)
	case !got.taken: // nothing else has the machine, and a ruling must come then
		t.Errorf("seed %d left it open, and not because the machine was taken:%s", seed, got.detail)
	}
	return got.outcome
}

// longestFirst are the numbers of the cases by how long their loads and audits take at
// most, so that what is still running in the end is short.
func longestFirst(t *testing.T, cases []rulingCase) []int {
	t.Helper()
	order, lengths := make([]int, len(cases)), make([]time.Duration, len(cases))
	for i, c := range cases {
		x, err := experiment.ReadFile(c.file, experiment.Options{Set: c.set})
		if err != nil {
			t.Fatal(err)
		}
		order[i], lengths[i] = i, x.Load.Length()+x.Load.Settle
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
	return order
}

// dealtOut takes each hands-th, and so on. Cases of one pattern are as long and stand
// together, and those with storms of retries take most of the processor: dealt out, few of
// them run at once.
func dealtOut(from []int, hands int) []int {
	var order []int
	for first := range hands {
		for i := first; i < len(from); i += hands {
			order = append(order, from[i])
		}
	}
	return order
}

// The same cases many times with different seeds, quiet and while one core is
// kept busy by something else. Then inconclusive is allowed, wrong is not.
func TestRulings(t *testing.T) {
	if *rulingRounds == 0 {
		t.Skip("run it with make rulings")
	}
	only, err := regexp.Compile(*rulingOnly)
	if err != nil {
		t.Fatal(err)
	}
	cases := slices.DeleteFunc(append(rulingCases(t), variants...), func(c rulingCase) bool { return !only.MatchString(c.String()) })
	halves, ok := map[string][]int{"": {0, *rulingBusy}, "quiet": {0}, "busy": {*rulingBusy}}[*rulingHalf]
	if !ok {
		t.Fatalf("-half %s: it is quiet or busy", *rulingHalf)
	}
	for _, loops := range halves {
		table := make([][]trial, len(cases))
		stop := func() {}
		if loops > 0 {
			stop = keepCoresBusy(t, loops)
		}
		for round := range *rulingRounds {
			var wg sync.WaitGroup
			gate := make(chan struct{}, *rulingJobs)
			results := make([]trial, len(cases))
			for i, c := range cases {
				wg.Go(func() {
					gate <- struct{}{}
					defer func() { <-gate }()
					if *rulingSet != "" {
						c.also = []string{*rulingSet}
					}
					seed := 1000*round + i + 1
					results[i] = c.run(t.Context(), seed, allSteps)
					r := &results[i] // told at once: the tables come when all have run
					t.Logf("%s, seed %d: %s after %.1f s, with %d lies; %s", c, seed, r.outcome, r.took.Seconds(), len(r.lies), r.detail)
				})
			}
			wg.Wait()
			for i := range cases {
				table[i] = append(table[i], results[i])
			}
		}
		stop()
		text, ok := rulingTable(cases, table, *rulingJobs, loops)
		fmt.Println(text)
		fmt.Print(lieTables(cases, table))
		if !ok {
			t.Error("not all rulings are as they must be: see the table")
		}
	}
}

// A broken example is its sound one with a flaw, and nothing else: what it
// refutes is then the flaw's doing.
func TestBrokenExamplesDifferOnlyByTheirFlaw(t *testing.T) {
	for name := range refutedBy {
		pattern, flaw, _ := strings.Cut(name, "-")
		for !slices.Contains(examples(t), pattern) { // its name has a dash too
			more, rest, found := strings.Cut(flaw, "-")
			if pattern, flaw = pattern+"-"+more, rest; !found {
				t.Fatalf("%s: there is no example that it is a broken form of", name)
			}
		}
		if flaw == "none" {
			flaw = "no-timeout"
		}
		broken := readExample(t, "broken/"+name)
		sound := readExample(t, pattern)
		marked := slices.IndexFunc(broken, func(line string) bool { return strings.Contains(line, "flaw: "+flaw+", ") })
		if marked < 0 {
			t.Errorf("%s: no target has flaw: %s", name, flaw)
			continue
		}
		broken[marked] = strings.Replace(broken[marked], "flaw: "+flaw+", ", "", 1)
		if !slices.Equal(broken, sound) {
			t.Errorf("%s differs from %s by more than its flaw", name, pattern)
		}
	}
}

// examples are the names of the sound ones.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), ".yaml")
	}
	return files
}

// readExample returns the lines of an example without its name and comments
// for people.
func readExample(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../../examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "name: ") && !strings.HasPrefix(line, "about: ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}
