package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/agents"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

var (
	agentRounds = flag.Int("agent-rounds", 1, "random moments at which agents, the broker and the coordinator of a run are lost, each way")
	agentSeed   = flag.Uint64("agent-seed", 0, "decides the moments; 0 draws one")
)

// A field is a run whose load agents send, all in processes of their own, and a process
// that the run stops. Of two agents the first has the odd arrivals.
type field struct {
	t      *testing.T
	dir    string
	seen   [2]atomic.Int64 // requests of either agent
	last   [2]atomic.Int64 // the highest number of their arrivals
	addr   string          // of the service
	victim int
	run    *exec.Cmd
	agents []*exec.Cmd
	says   output
}

// output keeps what processes print.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) has(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte(text))
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newField(t *testing.T) *field {
	f := &field{t: t, dir: t.TempDir()}
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		number, err := strconv.ParseUint(id[len(id)/2:], 16, 64)
		if err != nil {
			t.Errorf("a request with the id %q", id)
		}
		agent := (number + 1) % 2
		f.seen[agent].Add(1)
		for last := f.last[agent].Load(); int64(number) > last && !f.last[agent].CompareAndSwap(last, int64(number)); last = f.last[agent].Load() {
		}
	}))
	t.Cleanup(service.Close)
	f.addr = service.Listener.Addr().String()
	victim := exec.Command("sleep", "600")
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what stops it must not stop us
	f.start(victim)
	f.victim = victim.Process.Pid
	if err := os.WriteFile(f.file("victim.pid"), []byte(strconv.Itoa(f.victim)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"state", "tmp"} {
		if err := os.Mkdir(f.file(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *field) file(name string) string { return filepath.Join(f.dir, name) }

// start starts a process that is killed at the end of the test.
func (f *field) start(cmd *exec.Cmd) {
	f.t.Helper()
	cmd.Stdout, cmd.Stderr = &f.says, &f.says
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

func (f *field) stormctl(args ...string) *exec.Cmd {
	f.t.Helper()
	program, err := exec.LookPath("stormctl")
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "STORMCTL_STATE="+f.file("state"), "TMPDIR="+f.file("tmp"))
	f.start(cmd)
	return cmd
}

// experiment writes one of so many requests a second, which stops the victim if faults is.
func (f *field) experiment(rate int, length time.Duration, faults bool) string {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", f.victim))
	if err != nil {
		f.t.Fatal(err)
	}
	text := fmt.Sprintf(`name: field
targets:
  shop: {url: "http://%[1]s"}
  victim: {url: "http://%[1]s", pid_file: %[2]s}
load: {rate: %[3]d/s, duration: %[4]v, loops: 2, routes: [{name: get, to: shop, get: /, timeout: 1s}]}
claims: [{slo: {success: 50%%, confidence: 95%%}}]
limits: {processes: [%[5]s]}
`, f.addr, f.file("victim.pid"), rate, length, program)
	if faults {
		text += fmt.Sprintf("chaos: [{at: 100ms, for: %v, on: victim, pause: {}}]\n", length-time.Second)
	}
	file := f.file("field.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return file
}

// lead starts the run and its agents, one after the other; the first comes by way of
// another address. It returns when there is load.
func (f *field) lead(file, broker, first string, token agents.Token, n int, args ...string) {
	f.t.Helper()
	args = append([]string{"run", file, "--out", f.file("run"), "--agents", strconv.Itoa(n), "--agents-token", string(token)}, args...)
	f.run = f.stormctl(args...)
	for i := range n {
		name, at := fmt.Sprintf("agent-%d", i), broker
		if i == 0 {
			at = first
		}
		f.agents = append(f.agents, f.stormctl("agent", "--join", fmt.Sprintf("nats://%s#%s", at, token), "--name", name, "--loops", "1"))
		f.await("the agents join", func() bool { return f.says.has("joined as " + name) })
	}
	f.await("there is load", func() bool { return f.seen[0].Load()+f.seen[1].Load() > 0 })
}

func (f *field) await(what string, so func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited for: %s\n%s", what, f.says.String())
		}
	}
}

// cable leads to an address until it is cut: then nothing comes through any more, and
// nobody is told.
type cable struct {
	listener net.Listener
	cut      sync.RWMutex
	mu       sync.Mutex
	conns    []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l}
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, conn := range c.conns {
			conn.Close()
		}
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			go c.pass(near, far)
			go c.pass(far, near)
		}
	}()
	return c
}

func (c *cable) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	for p := make([]byte, 1<<16); ; {
		n, err := from.Read(p)
		c.cut.RLock()
		if err == nil {
			_, err = to.Write(p[:n])
		}
		c.cut.RUnlock()
		if err != nil {
			return
		}
	}
}

// A loss is something that happens to a run in the middle of it.
type loss struct {
	name   string
	nats   bool // the broker is not the coordinator's
	happen func(f *field, c *cable, b *agents.Broker)
	mine   []int                    // agents whose load is over by then
	within time.Duration            // by when: at once, or once the lease is over
	after  func(f *field, c *cable) // nil is nothing
}

var losses = []loss{
	{name: "agent killed", mine: []int{0}, happen: func(f *field, _ *cable, _ *agents.Broker) { _ = f.agents[0].Process.Kill() }},
	{name: "agent frozen", mine: []int{0}, happen: func(f *field, _ *cable, _ *agents.Broker) { _ = f.agents[0].Process.Signal(syscall.SIGSTOP) },
		after: func(f *field, _ *cable) { _ = f.agents[0].Process.Signal(syscall.SIGCONT) }},
	{name: "agent cut off", mine: []int{0}, within: agents.StopAfter, happen: func(_ *field, c *cable, _ *agents.Broker) { c.cut.Lock() },
		after: func(_ *field, c *cable) { c.cut.Unlock() }},
	{name: "broker killed", mine: []int{0, 1}, within: agents.StopAfter, nats: true, happen: func(_ *field, _ *cable, b *agents.Broker) { b.Close() }},
	{name: "coordinator killed", mine: []int{0, 1}, within: agents.StopAfter, happen: func(f *field, _ *cable, _ *agents.Broker) { _ = f.run.Process.Kill() }},
}

// Whenever an agent, the broker or the coordinator is lost, and however: five seconds later
// there is no load of who is lost and no fault of a run that is, and no claim has held.
func TestAgentsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes runs of some seconds")
	}
	t.Parallel()
	seed := *agentSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 18))
	for round := range *agentRounds {
		for _, l := range losses {
			moment := time.Duration(rng.Int64N(int64(3 * time.Second)))
			t.Run(fmt.Sprintf("%s/%d", l.name, round), func(t *testing.T) {
				t.Parallel()
				l.try(t, moment)
			})
		}
	}
}

func (l loss) try(t *testing.T, moment time.Duration) {
	f := newField(t)
	token, addr, args := agents.NewToken(), freeAddr(t), []string{}
	var broker *agents.Broker
	if l.nats {
		b, err := agents.StartBroker("127.0.0.1:0", t.TempDir(), token, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		broker, addr = b, b.Join.Broker.Host
		args = append(args, "--nats", "nats://"+addr)
	} else {
		args = append(args, "--agents-listen", addr)
	}
	c := newCable(t, addr)
	f.lead(f.experiment(fieldRate, 12*time.Second, true), addr, c.listener.Addr().String(), token, 2, args...)
	time.Sleep(moment)
	happened := time.Now()
	l.happen(f, c, broker)
	time.Sleep(agents.StopAfter + 500*time.Millisecond)
	if state, _, _ := readStat(f.victim); len(l.mine) == 2 && state == "T" {
		t.Errorf("after %v, 5 s later: the victim still stands still\n%s", moment, f.says.String())
	}
	if l.after != nil {
		l.after(f, c)
		time.Sleep(500 * time.Millisecond)
	}
	_ = f.run.Process.Signal(os.Interrupt) // of one that has ended by itself nothing comes
	_ = f.run.Wait()
	if state, _, _ := readStat(f.victim); state == "T" {
		t.Errorf("after %v, and the run's end, the victim stands still", moment)
	}
	for _, a := range f.agents { // that are still there: the run is over
		_ = a.Process.Kill()
		_ = a.Wait()
	}
	f.over(l, happened)
	f.judged(l, moment)
}

// slack is how late a signal comes to a process, or a pulse to an agent, on a busy machine.
const slack = 1500 * time.Millisecond

// over checks, once nothing sends any more, what of the load of who is lost the service has
// seen: nothing that fell due when it was over. It goes by when a request was due, for a
// service that has no core counts late.
func (f *field) over(l loss, happened time.Time) {
	f.t.Helper()
	run, err := evidence.Read(f.file("run"))
	if err != nil {
		f.t.Fatal(err)
	}
	end := happened.Sub(run.Started) + l.within + slack
	for _, i := range l.mine {
		if last := time.Duration(f.last[i].Load()) * time.Second / fieldRate; last > end {
			f.t.Errorf("lost at %v: agent-%d has sent what was due at %v\n%s", happened.Sub(run.Started), i, last, f.says.String())
		}
	}
}

// fieldRate is how many requests a second a field sends.
const fieldRate = 200

// judged checks what is made of what was recorded: nothing has held, and of a run that
// went on the agent is named first.
func (f *field) judged(l loss, moment time.Duration) {
	f.t.Helper()
	r, err := chaos.Judge(f.file("run"))
	if err != nil {
		f.t.Fatalf("after %v: %v\n%s", moment, err, f.says.String())
	}
	v := r.Verdicts[0]
	if v.Ruling == judge.Held {
		f.t.Errorf("after %v it has held: %s", moment, v.Reason)
	}
	if r.Stopped != result.GoesOn && len(l.mine) == 1 && !strings.HasPrefix(v.Reason, "agent agent-0 was lost") {
		f.t.Errorf("after %v: %s: %s\n%s", moment, v.Ruling, v.Reason, f.says.String())
	}
	f.t.Logf("after %v: %s: %s", moment.Round(time.Millisecond), v.Ruling, v.Reason)
}
