package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// An outcome is how a trial compares with what the case must come out as.
type outcome int

const (
	broken   outcome = iota // no result came, or one that does not fit its case: nothing was tried
	right                   // each claim came out as it must
	leftOpen                // some claim is inconclusive, the others came out as they must
	wrong                   // some claim came out as the opposite
)

func (o outcome) String() string { return [...]string{"broken", "right", "left open", "wrong"}[o] }

// A trial is one run of a case. One that was never made is broken.
type trial struct {
	outcome outcome
	detail  string    // what was not as it must be
	lies    []toldLie // what became of the lies about it
	lost    int       // of a case that loses something by chance, how much it was
	taken   bool      // the harness said itself that the machine was not its own
	took    time.Duration
	cpu     time.Duration // of the harness and its targets
}

// From what on a machine is not one run's own. On two cores that are, storms of
// retries make some thread wait for a core for half of the time, and sleepers wake
// up at most 10 ms late, but for one in a hundred.
const (
	crowded = 0.55
	hiccups = 10 // ms
)

// machineTaken reports whether the harness itself says that the machine was not
// its own: then inconclusive is right.
func machineTaken(r result.Result) bool {
	return !r.Harness.Healthy || r.Harness.Pressure > crowded || r.Harness.HiccupP99 > hiccups
}

// run runs the case as a user does. It may be called from any goroutine: what
// keeps it from running is a broken trial. A run that held is ruled on again with
// lies that are off by these steps; one that is held is wrong.
func (c rulingCase) run(ctx context.Context, seed int, steps []float64) trial {
	return inFolder(ctx, func(dir string) trial { return c.runIn(ctx, dir, seed, steps) })
}

func (c rulingCase) runIn(ctx context.Context, dir string, seed int, steps []float64) trial {
	no := func(what string, err error) trial {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    seed %d, %s: %v", seed, what, err)}
	}
	program, err := exec.LookPath("stormctl")
	if err != nil {
		return no("find the program", err)
	}
	args := []string{"run", c.file, "--json", "--quiet", "--out", filepath.Join(dir, "run"), "--seed", fmt.Sprint(seed)}
	for _, s := range slices.Concat(c.set, c.also) {
		args = append(args, "--set", s)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Minute // where it is killed, what it started ends by itself
	var stderr strings.Builder
	cmd.Stderr = &stderr
	begun := time.Now()
	out, err := cmd.Output()
	took := time.Since(begun)
	if cmd.ProcessState == nil {
		return no("start", err)
	}
	code := cmd.ProcessState.ExitCode()
	var r result.Result
	if e := json.Unmarshal(out, &r); e != nil {
		return no(fmt.Sprintf("exit code %d (%v), no result", code, err), fmt.Errorf("%w\n%s", e, stderr.String()))
	}
	lost, err := c.lost(filepath.Join(dir, "run"))
	if err != nil {
		return no("see what it lost", err)
	}
	got := c.having(lost).compare(code, r)
	got.lost = lost
	if c.loses != nil {
		got.detail += fmt.Sprintf("\n    %d that were acknowledged are not in audit %s", lost, c.loses.audit)
	}
	got.took, got.cpu = took, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if got.lies, err = c.tell(filepath.Join(dir, "run"), steps); err != nil {
		return no("lie about it", err)
	}
	if held := believed(got.lies); held != "" {
		got.outcome, got.detail = wrong, got.detail+held
	}
	if why := silent(r); why != "" {
		got.outcome, got.detail = wrong, got.detail+why
	}
	if err := readable(filepath.Join(dir, "run", result.File)); err != nil {
		got.outcome, got.detail = wrong, got.detail+fmt.Sprintf("\n    result.json: %v", err)
	}
	if got.outcome != right {
		got.detail += fmt.Sprintf("\n    seed %d, harness %+v", seed, r.Harness)
		got.taken = machineTaken(r)
	}
	return got
}

// silent says which claims held under a harness that was not well and do not
// say why they stand; "" if none.
func silent(r result.Result) string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		if !r.Harness.Healthy && v.Ruling == judge.Held && v.Despite == "" {
			fmt.Fprintf(&b, "\n    %s is held under an unhealthy harness and does not say why", v.Kind)
		}
	}
	return b.String()
}

// resultSchema is what stormctl schema result prints, compiled.
var resultSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := result.JSONSchema()
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("result.schema.json", document); err != nil {
		return nil, err
	}
	return c.Compile("result.schema.json")
})

// readable reads a result.json as who knows nothing but its schema does: it follows it, and
// the timeline that is made of it alone has every request. May be called at once.
func readable(file string) error {
	schema, err := resultSchema()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := schema.Validate(document); err != nil {
		return err
	}
	if out, err := exec.Command("python3", "../../examples/python/timeline.py", file).CombinedOutput(); err != nil {
		return fmt.Errorf("timeline.py: %w: %s", err, out[max(0, len(out)-500):])
	}
	return nil
}

// records are what a route writes, and the audit of ids that finds it in the end.
type records struct{ route, audit string }

// having is the case as it is where so much was lost.
func (c rulingCase) having(lost int) rulingCase {
	if c.loses != nil && lost == 0 {
		c.refutes = ""
	}
	return c
}

// acknowledged is how the line of a request ends that was.
var acknowledged = regexp.MustCompile(`,2\d\d,ok$`)

// lost is how many of the case's records were acknowledged in the run of a directory, and are not in its audit: read off
// its files, without the code that rules on them. An audit that was not answered lacks all.
func (c rulingCase) lost(dir string) (n int, err error) {
	if c.loses == nil {
		return 0, nil
	}
	audit, err := os.ReadFile(filepath.Join(dir, "evidence", "audit-"+c.loses.audit+".csv"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	front, err := os.ReadFile(filepath.Join(dir, "evidence", "front.csv"))
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	for _, id := range strings.Fields(string(audit)) {
		there[id] = true
	}
	lines := strings.Fields(string(front))
	if len(lines) < 2 || !strings.HasPrefix(lines[0], "id,route,") || !strings.HasSuffix(lines[0], ",status,outcome") {
		return 0, fmt.Errorf("%d requests, of which is written: %q", len(lines), lines[:min(len(lines), 1)])
	}
	for _, line := range lines[1:] {
		id, rest, _ := strings.Cut(line, ",")
		if strings.HasPrefix(rest, c.loses.route+",") && acknowledged.MatchString(rest) && !there[id] {
			n++
		}
	}
	return n, nil
}

// compare compares a result, and the exit code that came with it, with what the
// case must come out as.
func (c rulingCase) compare(code int, r result.Result) trial {
	if want := map[judge.Ruling]int{judge.Held: 0, judge.Refuted: 1, judge.Inconclusive: 3}[r.Ruling]; code != want {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    exit code %d with ruling %s", code, r.Ruling)}
	}
	if len(r.Verdicts) == 0 || c.refutes != "" && !slices.ContainsFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Kind == c.refutes }) {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    %d verdicts, none on %s", len(r.Verdicts), cmp.Or(c.refutes, "anything"))}
	}
	got := trial{outcome: right}
	for _, v := range r.Verdicts {
		want := judge.Held
		if v.Kind == c.refutes {
			want = judge.Refuted
		}
		if v.Ruling == want || v.Kind == c.open() && v.Ruling == judge.Inconclusive {
			continue
		}
		got.detail += fmt.Sprintf("\n    %s is %s, must be %s: %s", v.Kind, v.Ruling, want, v.Reason)
		if v.Ruling == judge.Inconclusive {
			got.outcome = max(got.outcome, leftOpen)
		} else {
			got.outcome = wrong
		}
	}
	return got
}

// rulingTable counts the trials of each case, and then tells about each that
// was not as it must be. ok is false if any was broken or wrong; busy allows
// for those left open.
func rulingTable(cases []rulingCase, table [][]trial, jobs, busy int) (text string, ok bool) {
	condition := "quiet"
	if busy > 0 {
		condition = fmt.Sprintf("beside %d busy loops", busy)
	}
	var b, details strings.Builder
	fmt.Fprintf(&b, "\n%s, %d at a time:\n", condition, jobs)
	fmt.Fprintf(&b, "%-45s %-10s %6s %13s %6s %7s\n", "experiment", "refutes", "right", "inconclusive", "wrong", "broken")
	ok = true
	for i, c := range cases {
		if c.loses != nil && busy == 0 && !slices.ContainsFunc(table[i], func(r trial) bool { return r.lost > 0 }) {
			ok = false
			fmt.Fprintf(&details, "%s, %d trials: none lost anything, so that they tried nothing\n", c, len(table[i]))
		}
		var n [4]int
		var detail string
		for _, r := range table[i] {
			n[r.outcome]++
			if r.outcome == broken || r.outcome == wrong || r.outcome == leftOpen && busy == 0 {
				detail += r.detail
			}
		}
		fmt.Fprintf(&b, "%-45s %-10s %6d %13d %6d %7d\n", c, cmp.Or(c.refutes, "-"), n[right], n[leftOpen], n[wrong], n[broken])
		if n[broken]+n[wrong] > 0 || n[leftOpen] > 0 && busy == 0 {
			ok = false
			fmt.Fprintf(&details, "%s, %d trials, %d wrong, %d left open, %d broken:%s\n", c, len(table[i]), n[wrong], n[leftOpen], n[broken], detail)
		}
	}
	if details.Len() > 0 {
		fmt.Fprintf(&b, "\nNot as it must be, %s:\n%s", condition, details.String())
	}
	return b.String(), ok
}

func TestRulingTable(t *testing.T) {
	cases := []rulingCase{{file: "../../examples/a.yaml"}, {file: "../../examples/b.yaml", refutes: "retry"}}
	for _, c := range []struct {
		name string
		row  []trial // of the second case; the first is right
		busy int
		ok   bool
		want []string
	}{
		{"all right", []trial{{outcome: right, detail: ""}, {outcome: right, detail: ""}}, 0, true,
			[]string{"quiet, 3 at a time", "\nb retry 2 0 0 0\n"}},
		{"one wrong", []trial{{outcome: right, detail: ""}, {outcome: wrong, detail: "\n    X"}}, 2, false,
			[]string{"beside 2 busy loops, 3 at a time", "\nb retry 1 0 1 0\n", "b, 2 trials, 1 wrong, 0 left open, 0 broken:\n X\n"}},
		{"one that could not run", []trial{{outcome: right, detail: ""}, {outcome: broken, detail: "\n    X"}}, 2, false,
			[]string{"\nb retry 1 0 0 1\n", "b, 2 trials, 0 wrong, 0 left open, 1 broken:\n X\n"}},
		{"one that nobody ran", []trial{{outcome: right, detail: ""}, {}}, 2, false, []string{"\nb retry 1 0 0 1\n"}},
		{"one open", []trial{{outcome: leftOpen, detail: "\n    X"}}, 0, false, []string{"\nb retry 0 1 0 0\n", "b, 1 trials, 0 wrong, 1 left open, 0 broken:\n X\n"}},
		{"one open while busy", []trial{{outcome: leftOpen, detail: "\n    X"}}, 2, true, []string{"\nb retry 0 1 0 0\n"}},
	} {
		text, ok := rulingTable(cases, [][]trial{{{outcome: right}}, c.row}, 3, c.busy)
		if ok != c.ok {
			t.Errorf("%s: ok is %v, want %v", c.name, ok, c.ok)
		}
		squeezed := regexp.MustCompile(` +`).ReplaceAllString(text, " ")
		for _, want := range append(c.want, "\na - 1 0 0 0\n") {
			if !strings.Contains(squeezed, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, squeezed)
			}
		}
	}
}

func TestCompareRulings(t *testing.T) {
	ruled := func(all judge.Ruling, breaker, recovery judge.Ruling) result.Result {
		return result.Result{Ruling: all, Verdicts: []judge.Verdict{{Kind: "breaker", Ruling: breaker}, {Kind: "recovery", Ruling: recovery}}}
	}
	for _, c := range []struct {
		name    string
		refutes string
		code    int
		result  result.Result
		want    outcome
	}{
		{"sound and held", "", 0, ruled(judge.Held, judge.Held, judge.Held), right},
		{"sound and refuted", "", 1, ruled(judge.Refuted, judge.Held, judge.Refuted), wrong},
		{"sound and open", "", 3, ruled(judge.Inconclusive, judge.Held, judge.Inconclusive), leftOpen},
		{"its own claim is refuted", "breaker", 1, ruled(judge.Refuted, judge.Refuted, judge.Held), right},
		{"another too", "breaker", 1, ruled(judge.Refuted, judge.Refuted, judge.Refuted), wrong},
		{"wrong outweighs open", "breaker", 1, ruled(judge.Refuted, judge.Inconclusive, judge.Refuted), wrong},
		{"and does so in any order", "recovery", 1, ruled(judge.Refuted, judge.Refuted, judge.Inconclusive), wrong},
		{"held although broken", "breaker", 0, ruled(judge.Held, judge.Held, judge.Held), wrong},
		{"another code than its ruling's", "", 4, ruled(judge.Held, judge.Held, judge.Held), broken},
		{"no verdict", "", 0, result.Result{Ruling: judge.Held}, broken},
		{"no verdict on its claim", "retry", 0, ruled(judge.Held, judge.Held, judge.Held), broken},
	} {
		if got := (rulingCase{refutes: c.refutes}).compare(c.code, c.result); got.outcome != c.want {
			t.Errorf("%s: outcome %d, want %d:%s", c.name, got.outcome, c.want, got.detail)
		}
	}
}

// Where nothing was lost it is true that nothing was, and where something was, and is not found, the ruling is wrong.
func TestTrialsThatLoseByChance(t *testing.T) {
	ruled := func(r judge.Ruling) result.Result {
		return result.Result{Ruling: r, Verdicts: []judge.Verdict{{Kind: "steady", Ruling: judge.Held}, {Kind: "durable", Ruling: r}}}
	}
	c := rulingCase{file: "x.yaml", refutes: "durable", loses: &records{"sold", "booked"}}
	const front = "id,route,intended_ns,sent_ns,done_ns,status,outcome\n1,sold,0,0,9,200,ok\n2,sold,0,0,9,0,timed_out\n3,look,0,0,9,200,ok\n" +
		"4,sold,0,0,9,201,ok\n5,sold,0,0,9,503,5xx\n11,sold,0,0,9,200,ok\n"
	for _, tt := range []struct {
		audit string
		lost  int
		held  outcome
		no    outcome // it is refuted
	}{
		{"id\n1\n4\n11\n-1\n", 0, right, wrong},
		{"id\n11\n4\n", 1, wrong, right},
		{"id\n", 3, wrong, right},
		{"", 3, wrong, right}, // it was not answered
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "evidence"), 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"front.csv": front, "audit-booked.csv": tt.audit}
		for name, text := range files {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, "evidence", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		lost, err := c.lost(dir)
		if err != nil || lost != tt.lost {
			t.Errorf("audit %q: %d lost, want %d: %v", tt.audit, lost, tt.lost, err)
		}
		if got := c.having(lost).compare(0, ruled(judge.Held)); got.outcome != tt.held {
			t.Errorf("audit %q, held: %s, want %s", tt.audit, got.outcome, tt.held)
		}
		if got := c.having(lost).compare(1, ruled(judge.Refuted)); got.outcome != tt.no {
			t.Errorf("audit %q, refuted: %s, want %s", tt.audit, got.outcome, tt.no)
		}
	}
	for _, lost := range []int{0, 7} {
		if _, ok := rulingTable([]rulingCase{c}, [][]trial{{{outcome: right, lost: lost}}}, 1, 0); ok != (lost > 0) {
			t.Errorf("%d lost: ok is %v", lost, ok)
		}
	}
}

// A run that gives no result must not pass for one that came out right.
func TestATrialThatCannotRunIsBroken(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	missing := rulingCase{file: "x.yaml"}.run(t.Context(), 1, nil)
	if err := os.WriteFile(filepath.Join(dir, "stormctl"), []byte("#!/bin/sh\necho no port >&2; exit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	failing := rulingCase{file: "x.yaml"}.run(t.Context(), 2, nil)
	for _, c := range []struct {
		got  trial
		want string
	}{
		{missing, "seed 1, find the program: "},
		{failing, "seed 2, exit code 2"},
		{failing, "no port"},
	} {
		if c.got.outcome != broken || !strings.Contains(c.got.detail, c.want) {
			t.Errorf("outcome %d, want %d, with %q in%s", c.got.outcome, broken, c.want, c.got.detail)
		}
	}
}
