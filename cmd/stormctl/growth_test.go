package main

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
)

// For what grows as slowly as in life: -growth 20m.
var growthFor = flag.Duration("growth", 40*time.Second, "for how long processes are weighed, which do meanwhile what such do in 20 minutes")

// grower is a process that takes more and more, by the flags that it was started with, and
// answers requests. Its minutes are as long as it is told, and sizes in MiB.
type grower struct {
	addr                   string
	minute                 time.Duration
	takes                  time.Duration // to answer
	leak, fds, slows       float64       // in a minute; slows is a part of takes
	warm, warms, tau, saws float64       // it takes warm and warms more by less and less, in tau minutes; saws is garbage in a minute

	began time.Time
	pages [][]byte
	files []*os.File
	trash atomic.Pointer[[]byte]
}

func grow() {
	g := &grower{began: time.Now()}
	f := flag.NewFlagSet("grower", flag.ExitOnError)
	f.StringVar(&g.addr, "addr", "", "")
	f.DurationVar(&g.minute, "minute", time.Minute, "")
	f.DurationVar(&g.takes, "takes", time.Millisecond, "")
	for name, v := range map[string]*float64{"leak": &g.leak, "fds": &g.fds, "slows": &g.slows, "warm": &g.warm, "warms": &g.warms,
		"tau": &g.tau, "saws": &g.saws} {
		f.Float64Var(v, name, 0, "")
	}
	_ = f.Parse(os.Args[1:]) // it exits
	go func() {
		for range time.Tick(g.minute / 100) {
			g.take()
		}
	}()
	fmt.Fprintln(os.Stderr, http.ListenAndServe(g.addr, g))
	os.Exit(1)
}

// minutes is how old it is, and come how much of what comes by less and less has come.
func (g *grower) minutes() (t, come float64) {
	t = float64(time.Since(g.began)) / float64(g.minute)
	if g.tau > 0 {
		come = 1 - math.Exp(-t/g.tau)
	}
	return t, come
}

// take takes what it has by now.
func (g *grower) take() {
	t, come := g.minutes()
	for size := 64 << 10; float64(len(g.pages)*size) < (g.leak*t+g.warm*come)*(1<<20); {
		g.pages = append(g.pages, written(size))
	}
	for float64(len(g.files)) < g.fds*t {
		if f, err := os.Open(os.DevNull); err == nil {
			g.files = append(g.files, f)
		}
	}
	if garbage := written(int(g.saws * (1 << 20) / 100)); len(garbage) > 0 {
		g.trash.Store(&garbage)
	}
}

// written is memory that was written to: until then it is not taken.
func written(size int) []byte {
	page := make([]byte, size)
	for i := 0; i < size; i += 512 {
		page[i] = 1
	}
	return page
}

func (g *grower) ServeHTTP(http.ResponseWriter, *http.Request) {
	t, come := g.minutes()
	more := g.slows * t
	if g.tau > 0 {
		more += g.warms * (1 - come)
	}
	time.Sleep(time.Duration(float64(g.takes) * (1 + more)))
}

// growers are the processes that are weighed, with their flags; those that are timed take
// 100 ms for an answer.
var growers = []struct {
	name, flags  string
	timed, grows bool
}{
	{"leaks", "-leak 1", false, true},
	{"descriptors", "-fds 1", false, true},
	{"slows", "-slows 0.01", true, true},

	{"control", "", true, false},
	{"level", "", false, false},
	{"saw", "-saws 20", false, false},
	{"big-saw", "-saws 100", false, false},
	{"big", "-warm 100 -tau 0.01", false, false},
	{"warms-at-once", "-warm 60 -tau 1 -saws 20", false, false},
	{"warms-in-three", "-warm 100 -tau 3", false, false},
	{"warms-in-five", "-warm 60 -tau 5 -saws 20", false, false},
	{"warms-in-ten", "-warm 60 -tau 10", false, false},
	{"gets-faster", "-warms 0.5 -warm 20 -tau 3", true, false},
}

// growthFile is a run of all of them. Its bounds are those of a run of 20 minutes, and
// as many times as high as it is shorter: 10 MiB, ten descriptors and ten threads an hour, and
// 30% of the time of an answer, which is half of what slows.
func growthFile(program string) string {
	times := float64(20*time.Minute) / float64(*growthFor)
	minute := *growthFor / 20
	var targets, routes, claims strings.Builder
	for _, g := range growers {
		args := append([]string{program, "-addr", "'${addr}'", "-minute", minute.String()}, strings.Fields(g.flags)...)
		weight := 1
		if g.timed {
			args, weight = append(args, "-takes", "100ms"), 30
		}
		fmt.Fprintf(&targets, "  %s: {process: {command: [%s], ready: /}}\n", g.name, strings.Join(args, ", "))
		fmt.Fprintf(&routes, "    - {name: %s, to: %s, get: /, weight: %d}\n", g.name, g.name, weight)
		weighed, troughs := fmt.Sprintf("rss: %.0fMiB/h, fds: %.0f/h, threads: %.0f/h", 10*times, 10*times, 10*times), minute/2
		fmt.Fprintf(&claims, "  - {name: %s, growth: {target: %s, %s, troughs: %s}}\n", g.name, g.name, weighed, troughs)
		if g.timed && g.name != "control" {
			fmt.Fprintf(&claims, "  - {name: p50-of-%s, growth: {route: %s, control: control, p50: %.0f%%/h, troughs: %s}}\n",
				g.name, g.name, 30*times, troughs)
		}
	}
	rate := 100 / (minute / 2).Seconds() // so that a timed route has 30 answers in each stretch
	return fmt.Sprintf("name: growers\ntargets:\n%sload:\n  rate: %.0f/s\n  duration: %s\n  routes:\n%sclaims:\n%s",
		&targets, rate, *growthFor, &routes, &claims)
}

// A process that leaks a mebibyte or a descriptor a minute, and one that slows by 1% a
// minute, are refuted in 20 minutes, and ten that are sound are not, half of which warm
// up. Package judge has many more of both, simulated; these are there.
func TestGrowthOfProcesses(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("runs a load; targets are weighed on Linux")
	}
	t.Parallel()
	program, err := exec.LookPath("grower")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "growers.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte(growthFile(program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("stormctl", "run", "--quiet", "--out", out, file).CombinedOutput(); exitCodeOf(err) == int(exitFailed) {
		t.Fatalf("%v: %s", err, said)
	}
	refuted := map[string]bool{}
	for _, v := range rulingsOf(t, out).Verdicts {
		t.Logf("%s: %s: %s", v.Name, v.Ruling, v.Reason)
		refuted[v.Name] = v.Ruling == judge.Refuted
	}
	for _, g := range growers {
		name := g.name
		if g.grows && g.timed {
			name = "p50-of-" + name
		}
		if was, judged := refuted[name]; was != g.grows || !judged {
			t.Errorf("%s: refuted %v, judged %v, want refuted %v", name, was, judged, g.grows)
		}
		delete(refuted, name)
	}
	for name, was := range refuted {
		if was {
			t.Errorf("%s is refuted", name)
		}
	}
}
