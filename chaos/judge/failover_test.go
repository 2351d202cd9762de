package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// takeover is a run in which two nodes are written to every 10 ms each. The first dies or
// is cut off at 2 s, and the second takes over after a while; the old one may go on
// acknowledging. A third route takes whichever is there.
type takeover struct {
	after  time.Duration // that the second takes over
	goeson time.Duration // that the old one goes on acknowledging for
	never  bool          // nobody takes over
}

func (c takeover) run() *evidence.Run {
	run := dataRun(8 * time.Second)
	run.Routes = []string{"first", "second", "any"}
	run.Access = []evidence.Access{{Route: "first", To: "n1", Data: "x", Writes: true}, {Route: "second", To: "n2", Data: "x", Writes: true}}
	run.Faults[0] = evidence.Injection{Name: "kill of n1", Kind: "kill", On: "n1", Target: true, Injected: 2 * time.Second, Healed: 7 * time.Second,
		Effects: &evidence.Effects{}}
	lost := run.Faults[0].Injected
	for n := range 800 {
		at := time.Duration(n) * 10 * ms
		for route := range 3 {
			s := load.Sample{ID: uint64(len(run.Samples) + 1), Route: route, Intended: at, Sent: at, Done: at + ms, Status: 200}
			first, second := at < lost+c.goeson, at >= lost+c.after && !c.never
			if route == 0 && !first || route == 1 && !second || route == 2 && !first && !second {
				s.Status, s.Outcome = 503, load.ServerError
			}
			run.Samples = append(run.Samples, s)
		}
	}
	return run
}

func TestFailover(t *testing.T) {
	for _, c := range []struct {
		name  string
		run   takeover
		claim Failover
		want  Ruling
		says  string
	}{
		{"after a second", takeover{after: time.Second}, Failover{Routes: []string{"any"}, Within: 2 * time.Second}, Held, "any was served again after 1.0 s"},
		{"and half of it claimed", takeover{after: time.Second}, Failover{Routes: []string{"any"}, Within: 500 * ms}, Refuted, "at most 500 ms claimed"},
		{"never", takeover{never: true}, Failover{Routes: []string{"any"}, Within: 2 * time.Second}, Refuted, "was not served again"},
		{"unnoticed", takeover{}, Failover{Routes: []string{"any"}, Within: 100 * ms}, Held, "no request of any failed"},
		{"of a kind that did not come", takeover{}, Failover{Routes: []string{"any"}, During: "pause", Within: 100 * ms}, Inconclusive, "no fault was in force"},
		{"one primary", takeover{after: time.Second}, Failover{Routes: []string{"first", "second"}, Primaries: 1}, Held, "1 target acknowledged"},
		{"two for a second", takeover{after: 200 * ms, goeson: 1200 * ms}, Failover{Routes: []string{"first", "second"}, Primaries: 1}, Refuted, "2 targets acknowledged"},
		{"two, and two claimed", takeover{after: 200 * ms, goeson: 1200 * ms}, Failover{Routes: []string{"first", "second"}, Primaries: 2}, Held, ""},
		{"of one target", takeover{after: time.Second}, Failover{Routes: []string{"first"}, Primaries: 1}, Inconclusive, "give each node a route of its own"},
	} {
		if v := c.claim.Judge(c.run.run()); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// A time that is declared shorter or longer than it was, by a little or by much, is held
// only if it was kept.
func TestFailoverIsNotHeldByALie(t *testing.T) {
	for _, after := range []time.Duration{200 * ms, time.Second, 3 * time.Second} {
		run := takeover{after: after}.run()
		for _, factor := range []float64{0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.5, 2} {
			within := time.Duration(factor * float64(after))
			v := Failover{Routes: []string{"any"}, Within: within}.Judge(run)
			if v.Ruling == Held && factor < 1 || v.Ruling == Refuted && factor > 1 {
				t.Errorf("after %v, %v claimed: %v, %s", after, within, v.Ruling, v.Reason)
			}
		}
	}
}

func TestAvailable(t *testing.T) {
	run := takeover{after: time.Second}.run
	for _, c := range []struct {
		name  string
		run   *evidence.Run
		claim Available
		want  Ruling
		says  string
	}{
		{"the side that is left", run(), Available{Routes: []string{"any"}, Success: 0.7}, Held, "400 of 500 requests of any succeeded"},
		{"declared too well", run(), Available{Routes: []string{"any"}, Success: 0.95}, Refuted, "only 400 of 500 requests of any succeeded"},
		{"near the figure", run(), Available{Routes: []string{"any"}, Success: 0.81}, Inconclusive, "it cannot be told"},
		{"the side that is cut off", run(), Available{Routes: []string{"first"}, Success: 0.1}, Refuted, "only 0 of 500"},
		{"in words", run(), Available{Routes: []string{"any"}, Success: 0.7}, Held, "n1 acknowledged 0 of 500 writes of x by first, surely did not do 0, and may have done 500"},
		{"by its name", run(), Available{Routes: []string{"any"}, During: "kill of n1", Success: 0.7}, Held, ""},
		{"of another kind", run(), Available{Routes: []string{"any"}, During: "pause", Success: 0.7}, Inconclusive, "no fault was in force"},
	} {
		if v := c.claim.Judge(c.run); v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

// A replica that was cut off agrees again as soon as it is not, or goes on lagging.
func TestConvergence(t *testing.T) {
	for _, c := range []struct {
		name string
		lag  time.Duration
		want Ruling
	}{{"at once", 0, Held}, {"not at all", 400 * ms, Refuted}} {
		m := soundShop(4)
		m.total, m.replica, m.lag, m.cut = 8*time.Second, 0.5, c.lag, true
		v := Available{Routes: []string{"look"}, Success: 0.9, Data: "price", ConvergesWithin: 500 * ms}.Judge(m.play())
		if v.Ruling != c.want {
			t.Errorf("%s: %v, %s", c.name, v.Ruling, v.Reason)
		}
	}
}

// Who is never taken over from is no primary that acknowledges nothing any more.
func TestPrimariesTakeATakeover(t *testing.T) {
	run := takeover{never: true, goeson: time.Hour}.run() // the first goes on as if nothing had happened
	v := Failover{Routes: []string{"first", "second"}, Primaries: 1}.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "no other target took over") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
	run = takeover{never: true, goeson: time.Hour}.run() // what comes at the same moment is no loss of its own
	run.Faults = append(run.Faults, run.Faults[0])
	if v := (Failover{Routes: []string{"first", "second"}, Primaries: 1}).Judge(run); v.Ruling != Inconclusive {
		t.Errorf("two at once: %v: %s", v.Ruling, v.Reason)
	}
	if v := (Failover{Routes: []string{"first"}, Within: time.Second}).Judge(run); !strings.Contains(v.Reason, "followed at 2.0 s: name by during") {
		t.Errorf("two at once: %v: %s", v.Ruling, v.Reason)
	}
}
