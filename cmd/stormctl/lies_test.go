package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// What the examples declare is true, by the settings of what they run. A claim
// that declares something else of the same run is a lie, and must not be held:
// a run is made once, and then ruled on with each number of each claim off by
// steps, in each direction that makes it false.

// truth is one number of a claim, and what it really is.
type truth struct {
	claim int
	key   string // within the claim: breaker.failures
	value any    // int, time.Duration, or float64 as a share or factor
	most  bool   // the claim says "at most", so that more than the truth is no lie
	least bool   // the claim says "at least", so that less is none
	words []string
	with  string // KEY=VALUE within the claim that a lie about it needs
}

// setting is a number that is claimed to be what it is, most one that is claimed
// not to be exceeded, and least one that is claimed to be reached. words are
// whole values that are false.
func setting(claim int, key string, value any) truth {
	return truth{claim: claim, key: key, value: value}
}
func most(claim int, key string, value any) truth {
	return truth{claim: claim, key: key, value: value, most: true}
}
func least(claim int, key string, value any) truth {
	return truth{claim: claim, key: key, value: value, least: true}
}

// needing is a truth of which a lie would be refused without another key.
func (t truth) needing(with string) truth {
	t.with = with
	return t
}

func words(claim int, key string, values ...string) truth {
	return truth{claim: claim, key: key, words: values}
}

// truths of the sound examples, by file and, where another library is set, by
// its name behind a blank.
var truths = map[string][]truth{
	// The bank's failures take 150 ms in the slow episode, and nothing opens before one is known.
	"breaker": {
		most(0, "steady.p99", 2*time.Millisecond), // the bank takes as long
		most(1, "breaker.failures", 5), setting(1, "breaker.waits", 2*time.Second),
		most(1, "breaker.opens_within", 150*time.Millisecond), words(1, "breaker.ignores", "[404, 503]"),
	},
	"breaker breaker=failsafe": {most(1, "breaker.failures", 5), setting(1, "breaker.waits", 2*time.Second)},
	"breaker breaker=hystrix":  {setting(1, "breaker.waits", 2*time.Second)},
	"breaker-h2":               {most(1, "breaker.failures", 5), setting(1, "breaker.waits", 2*time.Second)},
	"backoff": {
		most(0, "steady.p99", 200*time.Millisecond),
		most(1, "retry.attempts", 5).needing("retry.at_least=2"), least(1, "retry.at_least", 5).needing("retry.attempts=20"), words(1, "retry.on", "[429]"),
		setting(2, "backoff.base", 150*time.Millisecond), setting(2, "backoff.factor", 2.0),
		setting(2, "backoff.cap", 600*time.Millisecond), setting(2, "backoff.jitter", 0.5),
		words(2, "backoff.law", "spread"),
	},
	"backoff retry=retryablehttp": {most(1, "retry.attempts", 5).needing("retry.at_least=2"), setting(2, "backoff.base", 150*time.Millisecond), setting(2, "backoff.factor", 2.0)},
	"backoff retry=failsafe":      {most(1, "retry.attempts", 5).needing("retry.at_least=2"), setting(2, "backoff.base", 150*time.Millisecond), setting(2, "backoff.factor", 2.0)},
	"bulkhead": {
		most(0, "steady.p99", 8*time.Millisecond), // the quickest of the dependency's answers
		most(1, "bulkhead.limit", 40),
	},
	"bulkhead bulkhead=failsafe": {most(1, "bulkhead.limit", 40)},
	"haproxy":                    {most(1, "bulkhead.limit", 20), most(2, "retry.attempts", 4), most(3, "breaker.failures", 10)},
	"instances":                  {words(1, "skew.at_most", "1"), words(2, "health.keeps", "3"), most(2, "health.out_within", 200*time.Millisecond)},
	"nginx":                      {most(2, "breaker.failures", 3), words(1, "retry.on", "[502]")},
	"chatty":                     {most(1, "fanout.calls", 6), most(1, "fanout.depth", 2)},
	"stale-price":                {most(1, "fresh.within", 2900*time.Millisecond)}, // its replica is cut off for 3 s
	"failover":                   {most(1, "failover.within", time.Second)},        // a sentinel waits for as long
	"regions":                    {most(1, "failover.within", time.Second)},        // two checks that time out take 1.1 s
	"stampede":                   {words(1, "connections.at_most", "19")},          // each pod fills a pool of 20
	"pgbouncer":                  {words(2, "connections.at_most", "99")},
	"cache":                      {words(1, "stampede.ttl", "8s")},                                  // with fetches of several expiries in each
	"cap":                        {words(2, "available.routes", "[minority-write, minority-read]")}, // cut off, it answers nobody
	"durable":                    {most(0, "steady.p99", 200*time.Microsecond)},                     // an order is on disk by then
	"fallback":                   {most(0, "steady.p99", 5*time.Millisecond)},                       // what its dependencies take
	"shed":                       {most(0, "shed.p99", 100*time.Millisecond)},                       // twenty wait before most of those that are served
	"grpc":                       {most(1, "retry.attempts", 3).needing("retry.at_least=1")},
	"metastable":                 {most(0, "steady.p99", 20*time.Millisecond)}, // what a worker takes
	"idempotent":                 {words(1, "effects.exactly", "2")},
	"events": {
		most(0, "steady.p99", 100*time.Microsecond), // an event is on the broker's disk by then
		words(1, "effects.exactly", "2"),
		words(3, "conserved", "{audit: state, equals: 3601}", "{audit: state, equals: 1}"), // 3,600 are asked for
	},
	"backlog": {most(1, "drains.within", time.Second)}, // 600 at 600 - 200 in a second, and what comes meanwhile
	"saga": {
		most(0, "steady.p99", 15*time.Millisecond), // its three steps take as long
		most(1, "conserved.within", 10*time.Millisecond),
	},
	"cluster":  {most(0, "steady.p99", 200*time.Microsecond)}, // two nodes have a sale by then
	"broker":   {most(0, "steady.p99", 100*time.Microsecond)},
	"rabbitmq": {most(0, "steady.p99", 200*time.Microsecond)}, // a sale is on the broker's disk by then
	"timeout":  {most(1, "timeout.within", 500*time.Millisecond)},
}

// steps are by what a number is off; whole numbers are besides off by one.
var (
	allSteps = []float64{0.5, 0.8, 0.9, 1.1, 1.25, 2}
	oneStep  = []float64{0.9, 1.1}
)

// lie is one false claim.
type lie struct {
	claim int
	set   string // for --set
	also  string // another one that the file would be refused without
	about string // the key
	step  string // by how much it is off: ×0.9, −1
}

func (l lie) sets() []string {
	if l.also == "" {
		return []string{l.set}
	}
	return []string{l.also, l.set}
}

func (t truth) lies(steps []float64) []lie {
	path := fmt.Sprintf("claims[%d].%s", t.claim, t.key)
	var all []lie
	add := func(step, value string) {
		l := lie{claim: t.claim, set: path + "=" + value, about: t.key, step: step}
		if t.with != "" {
			l.also = fmt.Sprintf("claims[%d].%s", t.claim, t.with)
		}
		if !slices.ContainsFunc(all, func(o lie) bool { return o.set == l.set }) {
			all = append(all, l)
		}
	}
	for _, w := range t.words {
		add(w, w)
	}
	for _, s := range steps {
		if t.most && s > 1 || t.least && s < 1 {
			continue
		}
		switch v := t.value.(type) {
		case int:
			n := int(math.Floor(float64(v) * s))
			if s > 1 {
				n = int(math.Ceil(float64(v) * s))
			}
			if n >= 1 && n != v {
				add(fmt.Sprintf("×%v", s), strconv.Itoa(n))
			}
		case time.Duration:
			add(fmt.Sprintf("×%v", s), time.Duration(float64(v)*s).Round(time.Microsecond).String())
		case float64:
			value := strconv.FormatFloat(v*s, 'g', 6, 64)
			if strings.HasSuffix(t.key, "jitter") {
				value = strconv.FormatFloat(100*v*s, 'g', 6, 64) + "%"
			}
			if !strings.HasSuffix(t.key, "factor") || v*s >= 1 {
				add(fmt.Sprintf("×%v", s), value)
			}
		}
	}
	if v, ok := t.value.(int); ok {
		if v > 1 && !t.least {
			add("−1", strconv.Itoa(v-1))
		}
		if !t.most {
			add("+1", strconv.Itoa(v+1))
		}
	}
	return all
}

// truths finds the truths of a case.
func (c rulingCase) truths() []truth {
	if c.refutes != "" || c.known != nil {
		return c.known
	}
	return truths[c.String()]
}

// toldLie is what became of a lie.
type toldLie struct {
	lie
	ruling judge.Ruling
	reason string
}

// tell rules on a run directory with each lie in turn. The run is read once.
func (c rulingCase) tell(dir string, steps []float64) ([]toldLie, error) {
	var all []lie
	for _, t := range c.truths() {
		all = append(all, t.lies(steps)...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	run, err := evidence.Read(dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, chaos.ExperimentFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var results []toldLie
	for _, l := range all {
		x, err := experiment.Parse(file, text, experiment.Options{Set: l.sets()})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.set, err)
		}
		x.Claims = x.Claims[l.claim : l.claim+1]
		v := result.Verdicts(x, run)[0]
		results = append(results, toldLie{l, v.Ruling, v.Reason})
	}
	return results, nil
}

// believed are the lies that were held, each with its reason; "" if none was.
func believed(all []toldLie) string {
	var b strings.Builder
	for _, t := range all {
		if t.ruling == judge.Held {
			fmt.Fprintf(&b, "\n    %s is a lie and was held: %s", t.set, t.reason)
		}
	}
	return b.String()
}

// A lieRow is how often one lie about an experiment came out as what.
type lieRow struct {
	experiment, about, step string
	n                       [3]int // by judge.Ruling
}

func lieRows(name string, row []trial) []*lieRow {
	var rows []*lieRow
	for _, trial := range row {
		for _, l := range trial.lies {
			i := slices.IndexFunc(rows, func(r *lieRow) bool { return r.about == l.about && r.step == l.step })
			if i < 0 {
				i = len(rows)
				rows = append(rows, &lieRow{experiment: name, about: l.about, step: l.step})
			}
			rows[i].n[l.ruling]++
		}
	}
	slices.SortStableFunc(rows, func(a, b *lieRow) int { return cmp.Compare(a.about, b.about) })
	return rows
}

// lieTables tells of each lie how often it came out as what, and of each number
// the smallest lie that was refuted every time.
func lieTables(cases []rulingCase, table [][]trial) string {
	var rows []*lieRow
	for i, c := range cases {
		rows = append(rows, lieRows(c.String(), table[i])...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-28s %-22s %-18s %8s %13s %6s\n", "experiment", "declared falsely", "off by", "refuted", "inconclusive", "held")
	for _, r := range rows {
		fmt.Fprintf(&b, "%-28s %-22s %-18s %8d %13d %6d\n", r.experiment, r.about, r.step, r.n[judge.Refuted], r.n[judge.Inconclusive], r.n[judge.Held])
	}
	fmt.Fprintf(&b, "\n%-28s %-22s %-34s %s\n", "experiment", "number", "smallest lies always refuted", "never, nor held")
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].experiment == rows[0].experiment && rows[n].about == rows[0].about {
			n++
		}
		refuted, open := resolution(rows[:n])
		fmt.Fprintf(&b, "%-28s %-22s %-34s %s\n", rows[0].experiment, rows[0].about, cmp.Or(refuted, "-"), cmp.Or(open, "-"))
		rows = rows[n:]
	}
	return b.String()
}

// resolution is the smallest lie to either side that was refuted every time, and
// those that never were.
func resolution(rows []*lieRow) (refuted, open string) {
	var always, never []string
	for _, below := range []bool{true, false} {
		var least *lieRow
		for _, r := range rows {
			by, numeric := strings.CutPrefix(r.step, "×")
			factor, err := strconv.ParseFloat(by, 64)
			switch {
			case !numeric || err != nil: // words, and whole numbers that are off by one
				if below && r.n[judge.Held]+r.n[judge.Inconclusive] == 0 {
					always = append(always, r.step)
				}
			case factor < 1 != below || r.n[judge.Held]+r.n[judge.Inconclusive] > 0:
			case least == nil || math.Abs(math.Log(factor)) < math.Abs(math.Log(factorOf(least))):
				least = r
			}
		}
		if least != nil {
			always = append(always, least.step)
		}
	}
	for _, r := range rows {
		if r.n[judge.Held]+r.n[judge.Refuted] == 0 {
			never = append(never, r.step)
		}
	}
	return strings.Join(always, " "), strings.Join(never, " ")
}

func factorOf(r *lieRow) float64 {
	f, _ := strconv.ParseFloat(strings.TrimPrefix(r.step, "×"), 64)
	return f
}

// The smallest lie that is refuted is the nearest to the truth on its side of it.
func TestResolution(t *testing.T) {
	row := func(step string, refuted, open, held int) *lieRow {
		return &lieRow{step: step, n: [3]int{judge.Held: held, judge.Inconclusive: open, judge.Refuted: refuted}}
	}
	refuted, open := resolution([]*lieRow{row("×0.5", 3, 0, 0), row("×0.8", 3, 0, 0), row("×0.9", 1, 2, 0), row("×1.1", 0, 3, 0), row("×1.25", 2, 0, 1), row("×2", 3, 0, 0), row("−1", 3, 0, 0)})
	if refuted != "−1 ×0.8 ×2" || open != "×1.1" {
		t.Errorf("refuted %q, never %q", refuted, open)
	}
}

// Each lie is one, and what is no lie is not toldLie.
func TestLies(t *testing.T) {
	for _, c := range []struct {
		truth truth
		steps []float64
		want  []string
	}{
		{most(1, "b.failures", 5), allSteps, []string{"claims[1].b.failures=2", "claims[1].b.failures=4"}},
		{most(1, "b.probes", 1), allSteps, nil},
		{least(1, "b.at_least", 5), oneStep, []string{"claims[1].b.at_least=6"}},
		{setting(1, "b.limit", 10), oneStep, []string{"claims[1].b.limit=9", "claims[1].b.limit=11"}},
		{setting(0, "b.waits", 2*time.Second), allSteps, []string{"claims[0].b.waits=1s", "claims[0].b.waits=1.6s", "claims[0].b.waits=1.8s",
			"claims[0].b.waits=2.2s", "claims[0].b.waits=2.5s", "claims[0].b.waits=4s"}},
		{setting(0, "b.jitter", 0.5), oneStep, []string{"claims[0].b.jitter=45%", "claims[0].b.jitter=55%"}},
		{setting(0, "b.factor", 1.5), []float64{0.5, 1.1}, []string{"claims[0].b.factor=1.65"}},
		{words(0, "r.on", "[429]"), allSteps, []string{"claims[0].r.on=[429]"}},
	} {
		var got []string
		for _, l := range c.truth.lies(c.steps) {
			got = append(got, l.set)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.truth.key, got, c.want)
		}
	}
}

// noLie are examples without a number that is known to be false once it is changed:
// what growth is known to be is none, and no objective below all that succeed is missed.
var noLie = map[string]bool{"load": true, "growth": true, "slo": true}

// Every sound example declares true what the truths say, so that a change of
// one is noticed by the other.
func TestTruthsAreWhatTheExamplesDeclare(t *testing.T) {
	for _, c := range rulingCases(t) {
		if c.refutes == "" && len(c.truths()) == 0 && !noLie[strings.TrimSuffix(filepath.Base(c.file), ".yaml")] {
			t.Errorf("%s: no truth is known of it", c)
		}
	}
	for name := range truths {
		if !slices.ContainsFunc(rulingCases(t), func(c rulingCase) bool { return c.String() == name }) {
			t.Errorf("truths are known of %q, which is no case", name)
		}
	}
}
