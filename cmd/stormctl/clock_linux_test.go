package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// The clock on the wall of a program that is linked with this steps by STORMCTL_STEP_BY
// seconds when the monotonic one is at STORMCTL_STEP_AT nanoseconds: in all of its
// processes at once, and on no other's. The time of files does not step.
const stepping = `
var stepAt, stepBy = numberOf("STORMCTL_STEP_AT"), numberOf("STORMCTL_STEP_BY")

func numberOf(name string) (n int64) {
	text, _ := syscall.Getenv(name)
	sign := int64(1)
	for _, c := range text {
		if c == '-' {
			sign = -1
			continue
		}
		n = 10*n + int64(c-'0')
	}
	return sign * n
}

func stepped(mono int64) int64 {
	if stepAt > 0 && mono >= stepAt {
		return stepBy
	}
	return 0
}
`

// withSteps builds the program with such a clock.
func withSteps(t *testing.T) (program string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("it takes a Go toolchain: %v", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reads) != 1 {
		t.Skip("this toolchain reads the clock otherwise")
	}
	other := strings.Replace(string(text), reads, reads+"\tsec += stepped(mono)\n", 1)
	other = strings.Replace(other, "import (\n", "import (\n\t\"syscall\"\n", 1) + stepping
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{changed: []byte(other), overlay: list} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, "stormctl")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// monotonic is the clock that steps are given on.
func monotonic(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// A clock on the wall that steps by an hour in the middle of a run, forward or back,
// changes nothing of it: seconds are as long, faults come and go when they are to, nothing
// is late or lost, and nothing is left behind.
func TestClockSteppedByAnHour(t *testing.T) {
	if !*surroundings {
		t.Skip("it builds the program with another standard library, which takes minutes: -surroundings")
	}
	program := withSteps(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, []byte(`
name: stepped
targets: {web: {reference: dependency}}
load: {rate: 50/s, duration: 8s, routes: [{name: get, to: web, get: /}]}
chaos: [{at: 2s, for: 4s, on: web, pause: {}}]
claims: [{recovery: {within: 5s}}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	command := func(at time.Duration, by int, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "STORMCTL_STATE="+state, fmt.Sprint("STORMCTL_STEP_AT=", int64(at)), fmt.Sprint("STORMCTL_STEP_BY=", by))
		return cmd
	}
	for name, c := range map[string]struct {
		by     int
		before bool // the step is before the run
	}{
		"stepped before": {3600, true}, "forward": {3600, false}, "back": {-3600, false},
	} {
		out := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		at := time.Duration(1)
		cmd := command(at, c.by, "run", file, "--out", out, "--quiet")
		if !c.before {
			cmd = command(monotonic(t)+5*time.Second, c.by, "run", file, "--out", out, "--quiet")
		}
		began := time.Now()
		said, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code == 2 || code > 3 {
			t.Errorf("%s: exit code %d\n%s", name, code, said)
			continue
		}
		started := timesOf(t, name, out)
		if off := started.Sub(began); c.before != (off > 50*time.Minute) {
			t.Errorf("%s: it says that it started %v after it did: has the clock stepped?", name, off.Round(time.Second))
		}
		if left, err := command(1, c.by, "heal").CombinedOutput(); err != nil || string(left) != "nothing to heal\n" {
			t.Errorf("%s: left: %v, %s", name, err, left)
		}
	}
}

// timesOf checks the times of the timeline of a run, and returns when it says it started.
func timesOf(t *testing.T, name, dir string) (started time.Time) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, evidence.TimelineFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last, injected, healed, end time.Duration
	ticks := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e evidence.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		at := e.At.Duration()
		switch e.Kind {
		case evidence.KindStart:
			started = e.Start.Started
		case evidence.KindTick:
			if at <= last || at-last > time.Minute || e.Tick.Lost > 0 || e.Tick.LagMax.Duration() > time.Minute {
				t.Errorf("%s: a second from %v to %v, lag %v, %d lost", name, last, at, e.Tick.LagMax, e.Tick.Lost)
			}
			last = at
			ticks++
		case evidence.KindInject:
			injected = at
		case evidence.KindHeal:
			healed = at
		case evidence.KindEnd:
			end = at
		case evidence.KindStop, evidence.KindGap:
			t.Errorf("%s: %s: %s", name, e.Kind, e.Text)
		}
	}
	if ticks < 8 || injected < 2*time.Second || healed-injected < 4*time.Second || healed-injected > time.Minute || end < 7*time.Second || end > time.Minute {
		t.Errorf("%s: %d seconds, injected at %v, healed at %v, ended at %v", name, ticks, injected, healed, end)
	}
	return started
}
