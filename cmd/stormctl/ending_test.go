package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// paused is an experiment that is in the middle of two faults for a long time:
// a partition on a link, and a target stopped by SIGSTOP, which would stay
// stopped if nobody healed it. What is answered is answered before the pause:
// in it requests end by their timeout of 10 s.
const paused = `
name: paused
targets:
  bank: {reference: dependency}
  checkout: {reference: frontend, with: {timeout: 300ms}}
links:
  payments: {from: checkout, to: bank}
load:
  rate: 100/s
  duration: 50s
  routes: [{name: pay, to: checkout, get: /payments}]
chaos:
  - {at: 2s, for: 45s, on: payments, partition: {}}
  - {at: 2s, for: 45s, on: checkout, pause: {}}
claims:
  - timeout: {link: payments, route: pay, within: 1s}
`

// A started run, and the lines it tells on stderr.
type started struct {
	cmd   *exec.Cmd
	dir   string
	lines *bufio.Scanner
	out   *strings.Builder
}

func startRun(t *testing.T, experiment string) *started {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "experiment.yaml")
	if err := os.WriteFile(file, []byte(experiment), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	s := &started{dir: filepath.Join(dir, "run"), out: &strings.Builder{}}
	s.cmd = exec.Command(program, "run", file, "--out", s.dir)
	s.cmd.Stdout = s.out
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(stderr)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, stderr)
		_ = s.cmd.Wait()
	})
	return s
}

// until reads stderr up to a line that contains the text.
func (s *started) until(t *testing.T, text string) {
	t.Helper()
	var seen []string
	for s.lines.Scan() {
		seen = append(seen, s.lines.Text())
		if strings.Contains(s.lines.Text(), text) {
			return
		}
	}
	t.Fatalf("stderr never said %q:\n%s", text, strings.Join(seen, "\n"))
}

// wait reads what is left of stderr, so that nothing blocks on it, and returns
// the exit code.
func (s *started) wait() int {
	for s.lines.Scan() {
	}
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func TestInterruptHealsAndKeepsWhatWasSeen(t *testing.T) {
	t.Parallel()
	s := startRun(t, paused)
	s.until(t, "injected pause")
	below := descendants(s.cmd.Process.Pid)
	if stopped := slices.Contains(values(below), "T"); !stopped {
		t.Errorf("no process is stopped while the pause is in force: %v", below)
	}
	s.until(t, "4s ") // a few seconds of evidence
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	gone(t, below)
	r := readResult(t, s.dir)
	if !r.Partial || r.Stopped == "" {
		t.Errorf("the result is not marked as partial: %+v", r)
	}
	for _, f := range r.Faults {
		if f.Injected < 0 || f.Healed < f.Injected || f.Error != "" {
			t.Errorf("fault %s was not healed: %+v", f.Name, f)
		}
	}
	if r.Routes[0].Requests == 0 {
		t.Error("what was seen before is not there")
	}
	if !strings.Contains(s.out.String(), "STOPPED EARLY") {
		t.Errorf("the summary does not say that it was stopped:\n%s", s.out)
	}
}

// Nobody reads what it says, as after Ctrl-S: that must keep it neither from
// running nor from stopping, healing and writing what it has seen.
func TestInterruptHealsThoughNobodyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "experiment.yaml")
	if err := os.WriteFile(file, []byte(paused), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("stormctl")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd := exec.Command(program, "run", file, "--out", filepath.Join(dir, "run"))
	cmd.Stdout, cmd.Stderr = &out, fullPipe(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })

	below := func() []string { return values(descendants(cmd.Process.Pid)) }
	eventually(t, "a target stands still", func() bool { return slices.Contains(below(), "T") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("30 s after Ctrl-C it still runs")
	}
	if code := cmd.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	r := readResult(t, filepath.Join(dir, "run"))
	for _, f := range r.Faults {
		if f.Injected >= 0 && f.Healed < f.Injected {
			t.Errorf("fault %s was not healed: %+v", f.Name, f)
		}
	}
	if !strings.Contains(out.String(), "STOPPED EARLY") {
		t.Errorf("the summary is not there:\n%s", out.String())
	}
}

// fullPipe is where writing blocks until the test ends.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fd := int(w.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = unix.Write(fd, []byte{'.'})
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return w
}

// What ends before its load begins was stopped all the same: a target that
// takes its time to get ready is no target that failed.
func TestInterruptWhileATargetGetsReady(t *testing.T) {
	t.Parallel()
	s := startRun(t, `
name: slow
targets: {web: {process: {command: [sleep, "600"], ready_within: 60s}}}
load: {rate: 10/s, duration: 1s, routes: [{name: home, to: web, get: /}]}
claims: [{steady: {success: 99%}}]
`)
	s.until(t, "starting web")
	eventually(t, "the target runs under its supervisor", func() bool { return len(descendants(s.cmd.Process.Pid)) > 1 })
	below := descendants(s.cmd.Process.Pid)
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	gone(t, below)
}

func TestKillLeavesNoProcessAndAReadableRun(t *testing.T) {
	t.Parallel()
	s := startRun(t, paused)
	s.until(t, "injected pause")
	s.until(t, "4s ")
	below := descendants(s.cmd.Process.Pid)
	if len(below) < 4 { // two targets, each under its supervisor
		t.Errorf("only %d processes below the run: %v", len(below), below)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.wait()
	gone(t, below)
	program, _ := exec.LookPath("stormctl")
	out, err := exec.Command(program, "judge", s.dir, "--json").Output()
	var r result.Result
	if e := json.Unmarshal(out, &r); e != nil {
		t.Fatalf("judge: %v, %v", err, e)
	}
	// 2 s at 100/s are answered before the pause. All of it is older than a
	// second, which is what may be lost; a busy machine may have answered less.
	if !r.Partial || len(r.Verdicts) != 1 || r.Routes[0].Requests < 50 {
		t.Errorf("judge on what was left: %+v", r)
	}
	if front := countLines(t, filepath.Join(s.dir, "evidence", "front.csv")); front < 50 {
		t.Errorf("only %d lines of front evidence", front)
	}
}

// Without the fault nothing has been shown: inconclusive, never held.
func TestNoFaultIsInconclusive(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"breaker", "backoff", "bulkhead", "timeout"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../examples/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			before, rest, _ := strings.Cut(string(text), "chaos:\n")
			_, after, _ := strings.Cut(rest, "claims:\n")
			s := startRun(t, cutLoad(before)+"claims:\n"+after)
			code := s.wait()
			r := readResult(t, s.dir)
			// Where others take the machine, the system may not even be steady: that is
			// refuted, and not what is looked for here.
			unsteady := !r.Harness.Healthy && slices.ContainsFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Kind == "steady" && v.Ruling == judge.Refuted })
			if code != 3 && (code != 1 || !unsteady) {
				t.Errorf("exit code %d, want 3\n%s", code, s.out)
			}
			for _, v := range r.Verdicts {
				if v.Kind != "steady" && v.Ruling != judge.Inconclusive {
					t.Errorf("%s is %s without a fault: %s", v.Kind, v.Ruling, v.Reason)
				}
			}
		})
	}
}

// cutLoad shortens the load of an example to 4 s.
func cutLoad(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  duration: ") {
			line = "  duration: 4s\n"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

func TestTargetThatIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := startRun(t, fmt.Sprintf(`
name: nobody
targets: {checkout: {url: "http://%s"}}
load: {rate: 10/s, duration: 1s, routes: [{name: pay, to: checkout, get: /}]}
claims: [{steady: {success: 99%%}}]
`, addr))
	began := time.Now()
	var said strings.Builder
	for s.lines.Scan() {
		said.WriteString(s.lines.Text() + "\n")
	}
	if code := s.wait(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	for _, want := range []string{"target checkout", addr, "refused"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the reason does not name %q:\n%s", want, said.String())
		}
	}
}

// stop_if ends a run that hurts, with everything healed.
func TestLimitStopsTheRun(t *testing.T) {
	t.Parallel()
	s := startRun(t, `
name: hurts
targets:
  bank: {reference: dependency}
  checkout: {reference: frontend}
links: {payments: {from: checkout, to: bank}}
load: {rate: 100/s, duration: 40s, routes: [{name: pay, to: checkout, get: /payments}]}
chaos: [{at: 1s, for: 38s, on: payments, errors: {status: 503}}]
claims: [{recovery: {route: pay, within: 3s}}] # without a steady state, which a host that is taken would not confirm
limits: {stop_if: [{route: pay, success_below: 50%, for: 2s}]}
`)
	if code := s.wait(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	r := readResult(t, s.dir)
	if !strings.Contains(r.Stopped, `success of route "pay" was below 50% for 2 s`) {
		t.Errorf("stopped because %q", r.Stopped)
	}
	if f := r.Faults[0]; f.Healed < 0 || f.Healed > 30 {
		t.Errorf("not healed when it was stopped: %+v", f)
	}
}

// A target that is killed and started again is seen to be down and to be back.
func TestRestartHeals(t *testing.T) {
	t.Parallel()
	s := startRun(t, `
name: restarted
targets:
  bank: {reference: dependency}
  checkout: {reference: frontend}
links: {payments: {from: checkout, to: bank}}
load: {rate: 100/s, duration: 8s, routes: [{name: pay, to: checkout, get: /payments}]}
chaos: [{at: 2s, on: bank, restart: {downtime: 1s}}]
claims: [{recovery: {route: pay, within: 3s}}] # without a steady state, which a host that is taken would not confirm
`)
	code := s.wait()
	r := readResult(t, s.dir)
	if code != 0 && !(r.Ruling == judge.Inconclusive && machineTaken(r)) {
		t.Errorf("exit code %d, want 0\n%s", code, s.out)
	}
	if f := r.Faults[0]; f.Injected < 2 || f.Healed < 3 || f.Error != "" {
		t.Errorf("restart: %+v", f)
	}
	if failed := r.Routes[0].Outcomes["5xx"]; failed < 30 { // 100/s for 1 s, less what is late
		t.Errorf("only %d requests failed while the bank was down: %v", failed, r.Routes[0].Outcomes)
	}
}

func readResult(t *testing.T, dir string) result.Result {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r result.Result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func countLines(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func values(m map[int]string) []string {
	var v []string
	for _, s := range m {
		v = append(v, s)
	}
	return v
}
