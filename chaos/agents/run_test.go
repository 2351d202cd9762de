package agents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
)

const testVersion = "stormctl test"

// ground is a service, a broker and a run that agents are to carry.
type ground struct {
	t      *testing.T
	server *httptest.Server
	asked  atomic.Int64
	broker *Broker
	lead   *Coordinator
	x      *experiment.Experiment
	dir    string
	says   says
}

// says keeps what is told.
type says struct {
	mu    sync.Mutex
	lines []string
}

func (s *says) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, text)
}

func (s *says) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// patient are leases for tests that are about something else, on a machine that others use.
var patient = leases{lostAfter: time.Minute, stopAfter: time.Minute}

// newGround has a run wait for agents; length is that of its load.
func newGround(t *testing.T, agents int, rate int, length time.Duration, lease leases, more ...string) *ground {
	g := &ground{t: t, dir: filepath.Join(t.TempDir(), "run")}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { g.asked.Add(1) }))
	t.Cleanup(g.server.Close)
	text := fmt.Sprintf(`name: carried
seed: 18
targets: {shop: {url: "%[1]s"}, front: {url: "%[1]s"}}
load: {rate: %[2]d/s, arrivals: poisson, duration: %[3]v, loops: 2, routes: [{name: buy, to: shop, get: /buy}, {name: look, to: shop, get: /, weight: 2}]}
claims: [{steady: {success: 50%%}}]
`, g.server.URL, rate, length) + strings.Join(more, "")
	var err error
	if g.x, err = experiment.Parse("carried.yaml", []byte(text), experiment.Options{}); err != nil {
		t.Fatal(err)
	}
	token := NewToken()
	if g.broker, err = StartBroker("127.0.0.1:0", t.TempDir(), token, g.says.say); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.broker.Close)
	if g.lead, err = lead(t.Context(), g.broker.Join, g.broker, agents, testVersion, g.says.say, lease); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.lead.Close() })
	return g
}

// agent is one that may join.
func (g *ground) agent(name string) *Agent {
	return &Agent{Join: g.broker.Join, Dir: g.t.TempDir(), Say: g.says.say, lease: g.lead.lease,
		Member: Member{Name: name, Version: testVersion, Cores: 2, Loops: 1}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// run runs the experiment.
func (g *ground) run(ctx context.Context) (*result.Result, error) {
	return chaos.Run(ctx, g.x, chaos.Options{Out: g.dir, Remote: g.lead})
}

// told waits until something is told.
func (g *ground) told(text string) {
	g.t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(strings.ToLower(g.says.all()), strings.ToLower(text)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("it is not told: %s\n%s", text, g.says.all())
		}
	}
}

// silent has the coordinator hear nothing of an agent for longer than any lease, and
// reports whether it is lost.
func (g *ground) silent(name string) bool {
	g.lead.mu.Lock()
	for _, a := range g.lead.agents {
		if a.Name == name {
			a.heard -= time.Hour
		}
	}
	g.lead.mu.Unlock()
	g.lead.lookFor(g.lead.watch.now(), 0)
	g.lead.mu.Lock()
	defer g.lead.mu.Unlock()
	return slices.ContainsFunc(g.lead.agents, func(a *joined) bool { return a.Name == name && a.why != "" })
}

// Three agents carry a run, arrival for arrival as one process would, and it is judged as
// one of one process is.
func TestAgentsCarryARun(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]int{"samples in memory": 0, "samples in the stream alone": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			carryARun(t, kept)
		})
	}
}

func carryARun(t *testing.T, kept int) {
	g := newGround(t, 3, 600, time.Second, patient)
	g.lead.mostKept = kept
	var running sync.WaitGroup
	for i := range 3 {
		a := g.agent(fmt.Sprintf("agent-%d", i))
		a.Member.Loops = 1 + i
		running.Go(func() {
			if err := a.Run(t.Context()); err != nil {
				t.Errorf("%s: %v", a.Member.Name, err)
			}
		})
	}
	r, err := g.run(t.Context())
	if err != nil {
		_ = g.lead.Close()
	}
	running.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, g.says.all())
	}
	if r.Partial || r.Verdicts[0].Ruling == judge.Refuted {
		t.Errorf("partial %v, %s: %s", r.Partial, r.Verdicts[0].Ruling, r.Verdicts[0].Reason)
	}
	run, err := evidence.Read(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Flaws) > 0 || len(run.Gone) > 0 || len(run.Lost) > 0 {
		t.Errorf("flaws %v, lost agents %v, lost records %v", run.Flaws, run.Gone, run.Lost)
	}
	schedule, err := g.x.Load.Schedule(g.x.Seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Collect(load.Due(load.Plan{Schedule: schedule, Seed: g.x.Seed, Loops: 1, Routes: []load.Route{{}, {Weight: 2}}}))
	got := make([]load.Sample, len(run.Samples))
	for i, s := range run.Samples {
		got[i] = load.Sample{ID: s.ID, Route: s.Route, Intended: s.Intended}
		if s.Outcome != load.OK {
			t.Errorf("arrival %d: %v", s.ID, s.Outcome)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d arrivals that are not the %d of one process", len(got), len(want))
	}
	if int(g.asked.Load()) < len(want) {
		t.Errorf("%d requests reached the service, of %d", g.asked.Load(), len(want))
	}
	if !slices.ContainsFunc(run.Ticks, func(x evidence.Tick) bool { return x.Clock > 0 }) {
		t.Error("no tick knows the agents' clocks")
	}
	again, err := chaos.Judge(g.dir)
	if err != nil || again.Verdicts[0].Ruling != r.Verdicts[0].Ruling || again.Verdicts[0].Reason != r.Verdicts[0].Reason {
		t.Errorf("judged again it is %v, %v", again.Verdicts, err)
	}
}

// Before the first fault the steady state is asked for, of all that agents have seen by
// then; what is injected goes on as in one process.
func TestAgentsCarryToTheFirstFault(t *testing.T) {
	t.Parallel()
	g := newGround(t, 2, 600, 2*time.Second, patient, `links: {way: {from: front, to: shop}}
chaos: [{at: 1s, for: 500ms, on: way, latency: {delay: 1ms}}]
`)
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() {
			if err := g.agent(fmt.Sprintf("agent-%d", i)).Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := g.run(t.Context())
	if err != nil {
		_ = g.lead.Close()
	}
	running.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, g.says.all())
	}
	run, err := evidence.Read(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	// A busy machine may have been late; but what it saw had come.
	if strings.Contains(run.NotSteady, "due before the first injection") || len(run.Flaws) > 0 || run.NotSteady == "" && run.Faults[0].Injected < 0 {
		t.Errorf("%s; injected at %v, flaws %v", run.NotSteady, run.Faults[0].Injected, run.Flaws)
	}
}

// An agent that is lost has its share unsent, and what stood has not held: the reason
// begins with its name, whatever else the machine did meanwhile.
func TestLostAgentIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		lose       func(g *ground, a *Agent, end context.CancelFunc)
	}{
		{"it is ended", "it ended early", func(_ *ground, _ *Agent, end context.CancelFunc) { end() }},
		{"its connection is cut", "it was not heard of for", func(g *ground, a *Agent, _ context.CancelFunc) {
			a.conn.Close()
			for !g.silent(a.Member.Name) && t.Context().Err() == nil { // what was under way may yet be heard
				time.Sleep(5 * time.Millisecond)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t, 2, 100, 2*time.Second, patient)
			lost := g.agent("lost")
			ctx, end := context.WithCancel(t.Context())
			defer end()
			var running sync.WaitGroup
			running.Go(func() {
				if err := g.agent("stays").Run(t.Context()); err != nil {
					t.Errorf("stays: %v", err)
				}
			})
			running.Go(func() { _ = lost.Run(ctx) })
			running.Go(func() {
				for g.asked.Load() < 50 && t.Context().Err() == nil {
					time.Sleep(5 * time.Millisecond)
				}
				c.lose(g, lost, end)
			})
			r, err := g.run(t.Context())
			end()
			if err != nil {
				_ = g.lead.Close()
			}
			running.Wait()
			if err != nil {
				t.Fatalf("%v\n%s", err, g.says.all())
			}
			v := r.Verdicts[0]
			if v.Ruling != judge.Inconclusive || !strings.HasPrefix(v.Reason, "agent lost was lost") || !strings.Contains(v.Reason, c.says) {
				t.Errorf("%s: %s", v.Ruling, v.Reason)
			}
			run, err := evidence.Read(g.dir)
			if err != nil {
				t.Fatal(err)
			}
			unsent, due := 0, 0
			for _, s := range run.Samples {
				due++
				if s.Outcome == load.Unsent {
					unsent++
				}
			}
			schedule, _ := g.x.Load.Schedule(g.x.Seed, nil)
			want := 0
			for range schedule.Arrivals() {
				want++
			}
			if unsent == 0 || unsent > want/2+1 || due != want || len(run.Flaws) > 0 {
				t.Errorf("%d unsent, %d arrivals of %d, flaws %v", unsent, due, want, run.Flaws)
			}
		})
	}
}

// A run whose coordinator is gone, whatever became of the broker, is over for its agents.
func TestAgentStopsWhenItIsAlone(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(g *ground){
		"the broker":      func(g *ground) { g.broker.Close() },
		"the coordinator": func(g *ground) { g.lead.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t, 1, 500, 30*time.Second, leases{lostAfter: 30 * time.Second, stopAfter: 3 * time.Second})
			ended := make(chan error, 1)
			go func() { ended <- g.agent("alone").Run(t.Context()) }()
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_, _ = g.run(ctx) // what it comes to is another test's
			}()
			for g.asked.Load() < 50 && t.Context().Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			kill(g)
			if err := <-ended; !errors.Is(err, errUnheard) {
				t.Errorf("it ended with %v", err)
			}
			before := g.asked.Load()
			time.Sleep(50 * time.Millisecond)
			if after := g.asked.Load(); after != before {
				t.Errorf("%d requests came when it had stopped", after-before)
			}
			cancel()
			<-over
		})
	}
}

// A run that is stopped has its agents stop, and keeps what they saw.
func TestHaltReachesAll(t *testing.T) {
	g := newGround(t, 2, 500, 30*time.Second, patient)
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() {
			if err := g.agent(fmt.Sprintf("agent-%d", i)).Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for g.asked.Load() < 100 && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(chaos.Stopped{Why: "enough"})
	}()
	r, err := g.run(ctx)
	_ = g.lead.Close()
	running.Wait()
	if err != nil {
		t.Fatal(err)
	}
	run, err := evidence.Read(g.dir)
	if err != nil || !r.Partial || len(run.Gone) > 0 || len(run.Samples) < 50 {
		t.Errorf("partial %v, lost %v, %d samples, %v", r.Partial, run.Gone, len(run.Samples), err)
	}
}
