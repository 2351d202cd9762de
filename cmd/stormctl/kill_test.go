//go:build linux

package main

import (
	"bytes"
	crand "crypto/rand"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	kills     = flag.Int("kills", 2, "random moments at which a run with every outliving fault is killed, for each of the two ways")
	killsSeed = flag.Uint64("kills-seed", 0, "decides the moments; 0 draws one")
)

// A rig is what a run breaks outside its own processes: all of it survives the
// run, so that it can be seen what of it the run's death leaves broken.
type rig struct {
	t       *testing.T
	dir     string // everything of it
	state   string // journals
	addr    string // what the targets that are not ours listen on
	victims map[string]int
	before  map[string]string // condition of each part when nothing is broken
	netns   string            // "" where the machine has none
	device  string
	disk    string   // "" where nothing can be mounted
	cgroup  bool     // cpu can be limited by cgroup
	memory  bool     // memory can
	marks   []string // in the names of namespaces and devices that runs of this rig have made
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), victims: map[string]int{}}
	if err := os.Chmod(filepath.Dir(r.dir), 0o711); err != nil { // targets of other users come by
		t.Fatal(err)
	}
	r.state = filepath.Join(r.dir, "state")
	if err := os.Mkdir(r.state, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	r.addr = l.Addr().String()
	for _, name := range []string{"paused", "slowed", "throttled", "spaced", "squeezed", "exhausted", "lost"} {
		cmd := exec.Command("sh", "-c", "sleep 600 & wait")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.victims[name] = cmd.Process.Pid
		t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
		if err := os.WriteFile(r.file(name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		r.mount()
		r.network()
	}
	r.cgroup, r.memory = r.possible("{at: 1s, for: 1s, on: throttled, cpu: {cores: 0.5}}"), r.possible("{at: 1s, for: 1s, on: squeezed, memory: {free: 64MiB}}")
	eventually(t, "the victims have their children", func() bool {
		for _, pid := range r.victims {
			if len(descendants(pid)) != 1 {
				return false
			}
		}
		return true
	})
	r.before = r.condition()
	return r
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) mount() {
	disk := r.file("disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk).Run(); err == nil {
		r.disk = disk
		r.t.Cleanup(func() {
			if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
				r.t.Error(err)
			}
		})
	}
}

func (r *rig) network() {
	name := "sct-k-" + strings.ToLower(crand.Text()[:6])
	if exec.Command("ip", "netns", "add", name).Run() != nil {
		return
	}
	r.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			r.t.Errorf("ip netns del: %v: %s", err, out)
		}
	})
	if exec.Command("ip", "-n", name, "link", "add", "wire0", "type", "veth", "peer", "name", "wire1").Run() == nil {
		r.netns, r.device = name, "wire0"
	}
}

// possible asks a dry run whether the machine has what a fault needs.
func (r *rig) possible(event string) bool {
	file := r.file("possible.yaml")
	if err := os.WriteFile(file, []byte(r.experiment([]string{event})), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return r.stormctl("run", "--dry-run", file).Run() == nil
}

// stormctl is a command of it that knows of this rig's runs alone.
func (r *rig) stormctl(args ...string) *exec.Cmd {
	program, err := exec.LookPath("stormctl")
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "STORMCTL_STATE="+r.state)
	return cmd
}

// wasKilled sees to it that a run that has been waited for did not end by itself.
func (r *rig) wasKilled(run *exec.Cmd) {
	r.t.Helper()
	if run.ProcessState.Exited() {
		said, _ := os.ReadFile(r.file("said"))
		r.t.Errorf("the run ended by itself, with exit code %d:\n%s", run.ProcessState.ExitCode(), said)
	}
}

// chaos is every fault that outlives a run, again and again, so that at most
// moments some are being made, some in force and some being healed.
func (r *rig) chaos() []string {
	made := r.file("made")
	faults := []string{
		"on: paused, pause: {}",
		"on: slowed, cpu: {cores: 0.5, by: stop}",
		"on: spaced, memory: {free: 1MiB, by: rlimit}",
		"on: exhausted, fd: {free: 1}",
		fmt.Sprintf("on: web, exec: {inject: [sh, -c, 'sleep 0.1; touch %s; sleep 0.1'], heal: [rm, -f, %s]}", made, made),
		"on: web, pause: {}",
		"region_loss: {region: eu}",
	}
	if r.cgroup {
		faults = append(faults, "on: throttled, cpu: {cores: 0.5}")
	}
	if r.memory {
		faults = append(faults, "on: squeezed, memory: {free: 64MiB}")
	}
	if r.disk != "" {
		faults = append(faults, fmt.Sprintf("on: web, disk_full: {dir: %s}", r.disk))
	}
	if r.netns != "" {
		faults = append(faults, "on: n1, net_partition: {between: [[n1], [n2]]}", fmt.Sprintf("on: web, net_partition: {netns: %s}", r.netns),
			fmt.Sprintf("on: web, net_rate: {netns: %s, device: %s, limit: 64KiB}", r.netns, r.device))
	}
	var events []string
	for round := range 4 { // 64 events are the most that a run has
		for i, f := range faults {
			at := time.Duration(round)*2250*time.Millisecond + time.Duration(i)*100*time.Millisecond + 200*time.Millisecond
			events = append(events, fmt.Sprintf("{at: %s, for: 1s, %s}", at, f))
		}
	}
	return events
}

func (r *rig) experiment(events []string) string {
	var targets, netns string
	for _, name := range slices.Sorted(maps.Keys(r.victims)) {
		region := ""
		if name == "lost" {
			region = ", region: eu"
		}
		targets += fmt.Sprintf("  %s: {url: \"http://%s\", pid_file: %s%s}\n", name, r.addr, r.file(name+".pid"), region)
	}
	if r.netns != "" {
		netns = ", netns: [" + r.netns + "]"
		// They have hosts of their own, and the first another user and a region that is lost.
		const member = "  %s: {process: {command: [sleep, '600'], dir: /, host: own, %sready: {command: ['true']}}%s}\n"
		targets += fmt.Sprintf(member, "n1", "user: nobody, ", ", region: eu") + fmt.Sprintf(member, "n2", "", "")
	}
	return fmt.Sprintf(`name: broken
targets:
  web: {reference: dependency}
%sload: {rate: 20/s, duration: 12s, routes: [{name: get, to: web, get: /}]}
chaos:
  - %s
claims: [{recovery: {within: 5s}}]
limits: {processes: [%s]%s}
`, targets, strings.Join(events, "\n  - "), strings.Join(r.shells(), ", "), netns)
}

// shells are the programs of the victims: what sh is differs.
func (r *rig) shells() []string {
	var all []string
	for _, pid := range r.victims {
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && !slices.Contains(all, program) {
			all = append(all, program)
		}
	}
	return all
}

// condition is what a fault could have changed, each part by name.
func (r *rig) condition() map[string]string {
	now := map[string]string{}
	for name, pid := range r.victims {
		var parts []string
		for _, p := range append([]int{pid}, slices.Sorted(maps.Keys(descendants(pid)))...) {
			state, _, _ := readStat(p)
			if state != "T" {
				state = "runs"
			}
			for _, resource := range []int{unix.RLIMIT_AS, unix.RLIMIT_NOFILE} {
				var limit unix.Rlimit
				_ = unix.Prlimit(p, resource, nil, &limit)
				state += fmt.Sprint(" ", limit)
			}
			groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p))
			parts = append(parts, state+" "+string(groups))
		}
		now[name] = strings.Join(parts, "\n")
	}
	now["made"] = "no"
	if _, err := os.Stat(r.file("made")); err == nil {
		now["made"] = "yes"
	}
	if r.disk != "" {
		entries, _ := os.ReadDir(r.disk)
		now["disk"] = fmt.Sprint(entries)
	}
	now["hosts"] = r.hosts()
	if r.netns != "" {
		tables, _ := exec.Command("ip", "netns", "exec", r.netns, "nft", "list", "tables").Output()
		shaped, _ := exec.Command("tc", "-n", r.netns, "qdisc", "show").Output()
		now["table"], now["qdisc"] = string(tables), string(shaped)
	}
	return now
}

// markOf is what a journal says of the names of hosts.
var markOf = regexp.MustCompile(`stormctl-([a-z2-7]{8})\b`)

// hosts are the network namespaces and devices that are there of runs of this rig, as
// far as their journals have named any.
func (r *rig) hosts() string {
	journals, _ := filepath.Glob(filepath.Join(r.state, "*.jsonl"))
	for _, path := range journals {
		text, _ := os.ReadFile(path)
		for _, m := range markOf.FindAllSubmatch(text, -1) {
			if !slices.Contains(r.marks, string(m[1])) {
				r.marks = append(r.marks, string(m[1]))
			}
		}
	}
	var names, found []string
	if entries, err := os.ReadDir("/run/netns"); err == nil {
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	devices, _ := net.Interfaces()
	for _, d := range devices {
		names = append(names, d.Name)
	}
	for _, name := range names {
		if slices.ContainsFunc(r.marks, func(mark string) bool { return strings.Contains(name, mark) }) {
			found = append(found, name)
		}
	}
	return strings.Join(found, " ")
}

// broken lists the parts that are not as they were, and what is left of the run.
func (r *rig) broken() []string {
	var names []string
	for name, is := range r.condition() {
		if was := r.before[name]; is != was {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (r *rig) left() []string {
	names := r.broken()
	want := []byte("STORMCTL_STATE=" + r.state)
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if environ, err := os.ReadFile(path); err == nil && slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) && alive(pid) {
			names = append(names, "process "+strconv.Itoa(pid))
		}
	}
	journals, _ := filepath.Glob(filepath.Join(r.state, "*.jsonl"))
	return append(names, journals...)
}

// start starts a run with every fault.
func (r *rig) start() *exec.Cmd {
	r.t.Helper()
	file := r.file("experiment.yaml")
	if err := os.WriteFile(file, []byte(r.experiment(r.chaos())), 0o644); err != nil {
		r.t.Fatal(err)
	}
	said, err := os.Create(r.file("said")) // no pipe, which whoever is left would keep open
	if err != nil {
		r.t.Fatal(err)
	}
	defer said.Close()
	cmd := r.stormctl("run", file, "--quiet", "--out", r.file("run"))
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// guardian is the pid of a run's guardian; 0 if it has none yet.
func guardian(run int) int {
	for pid := range descendants(run) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.HasPrefix(line, []byte("stormctl-guardian")) {
			return pid
		}
	}
	return 0
}

// tally counts, over all the kills that are looked at, what was broken then.
type tally struct {
	mu    sync.Mutex
	found map[string]int
}

func (c *tally) add(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range names {
		if strings.HasPrefix(n, "process ") || strings.HasSuffix(n, ".jsonl") {
			continue
		}
		c.found[n]++
	}
}

// Whenever a run is killed: five seconds later nothing is left. At every other
// moment it is seen what was broken.
func TestKilledRunLeavesNothing(t *testing.T) {
	eachMoment(t, func(t *testing.T, r *rig, moment time.Duration) []string {
		run := r.start()
		time.Sleep(moment)
		var found []string
		if moment%2 == 0 {
			// It is stopped for as long as it takes to see what is broken. Its lease
			// lasts longer than that.
			_ = run.Process.Signal(unix.SIGSTOP)
			found = r.broken()
		}
		_ = run.Process.Kill()
		died := time.Now()
		_ = run.Wait()
		r.wasKilled(run)
		for left := r.left(); len(left) > 0; left = r.left() {
			if took := time.Since(died); took > 5*time.Second {
				t.Errorf("killed at %v: after %v there is still %v", moment, took.Round(time.Millisecond), left)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("killed at %v: nothing is left %v later", moment, time.Since(died).Round(time.Millisecond))
		return found
	})
}

// And with the guardian killed too, heal brings everything back.
func TestHealAfterTheGuardianWasKilledToo(t *testing.T) {
	eachMoment(t, func(t *testing.T, r *rig, moment time.Duration) []string {
		run := r.start()
		time.Sleep(moment)
		_ = run.Process.Signal(unix.SIGSTOP) // or it would heal itself when its guardian goes
		if g := guardian(run.Process.Pid); g != 0 {
			_ = unix.Kill(g, unix.SIGKILL)
		}
		_ = run.Process.Kill()
		_ = run.Wait()
		r.wasKilled(run)
		found := r.broken()
		out, err := r.stormctl("heal").CombinedOutput()
		if err != nil {
			t.Errorf("killed at %v: heal: %v\n%s", moment, err, out)
		}
		// What was started by the run ends with it, but not in the same instant.
		for end := time.Now().Add(30 * time.Second); len(r.left()) > 0 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if left := r.left(); len(left) > 0 {
			t.Errorf("killed at %v: after heal there is still %v; it said\n%s", moment, left, out)
			for _, name := range left {
				t.Logf("%s was %q, is %q", name, r.before[name], r.condition()[name])
			}
		}
		if out, err := r.stormctl("heal").CombinedOutput(); err != nil || string(out) != "nothing to heal\n" {
			t.Errorf("a second heal: %v, %s", err, out)
		}
		return found
	})
}

// eachMoment does it at random moments of a run, some at once.
func eachMoment(t *testing.T, do func(t *testing.T, r *rig, moment time.Duration) []string) {
	if testing.Short() {
		t.Skip("it takes runs of some seconds")
	}
	t.Parallel()
	seed := *killsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	counts := &tally{found: map[string]int{}}
	t.Run("moments", func(t *testing.T) {
		for i := range *kills {
			// The first second is the start of the run; 12 s later it is over.
			moment := time.Duration(rng.Float64() * float64(10*time.Second))
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				counts.add(do(t, newRig(t), moment))
			})
		}
	})
	t.Logf("seed %d: broken at the %d moments: %v", seed, *kills, counts.found)
	if *kills >= 20 && len(counts.found) < 8 {
		t.Errorf("of all the faults only %v were ever in force when the run was killed", counts.found)
	}
}
