package discover

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// shared is a run of a service with a breaker by share: a request each 20 ms, of which
// all fail from at on. Its window rolls by buckets, or slides if there is but one.
func shared(at, window time.Duration, share float64, buckets int) *evidence.Run {
	link := &evidence.Link{Name: "bank"}
	run := &evidence.Run{Routes: []string{"pay"}, Links: map[string]*evidence.Link{"bank": link}, End: at + 20*time.Second,
		Faults: []evidence.Injection{{On: "bank", Injected: at, Healed: at + 15*time.Second}}}
	var ends []time.Duration
	opened := false
	for n := 0; ; n++ {
		sent := time.Duration(n) * 20 * ms
		if sent >= run.End {
			return run
		}
		sample := load.Sample{ID: uint64(n + 1), Intended: sent, Sent: sent, Done: sent + 4*ms, Status: 503, Outcome: load.ServerError}
		if !opened && n%97 != 0 { // now and then one finds a bulkhead full
			x := evidence.Exchange{ID: sample.ID, Begin: sent + ms, End: sent + 3*ms, Status: 503, Method: "GET", Path: "/", InFlight: 1}
			if sent < at {
				x.Status, sample.Status, sample.Outcome = 200, 200, load.OK
			}
			link.Exchanges = append(link.Exchanges, x)
			ends = append(ends, x.End)
			since := x.End - window
			if buckets > 1 {
				bucket := window / time.Duration(buckets)
				since = (x.End/bucket - time.Duration(buckets) + 1) * bucket
			}
			var all, bad float64
			for i, end := range ends {
				if end >= since {
					all++
					if link.Exchanges[i].Status == 503 {
						bad++
					}
				}
			}
			opened = bad/all >= share
		}
		run.Samples = append(run.Samples, sample)
	}
}

// The share and the window are found of two openings; a window that was never full is
// told as longer than what was seen.
func TestLearnShare(t *testing.T) {
	for _, c := range []struct {
		share   float64
		window  time.Duration
		buckets int
		full    bool
	}{
		{0.5, 10 * time.Second, 1, true},
		{0.5, 10 * time.Second, 10, true},
		{0.3, 5 * time.Second, 1, true},
		{0.2, 8 * time.Second, 10, true},
		{0.1, 30 * time.Second, 1, false},
	} {
		f := &Findings{Subject: pay}
		for _, trial := range []struct {
			name string
			at   time.Duration
		}{{Quick, calm}, {Long, longCalm}} {
			if err := f.Learn(Trial{Name: trial.name}, shared(trial.at, c.window, c.share, c.buckets)); err != nil {
				t.Fatal(err)
			}
		}
		if f.Later == nil || !*f.Later {
			t.Errorf("%g of %v: it is not told from a number in a row: %+v", c.share, c.window, f.Failures)
		}
		holds(t, "share", f.Share, c.share)
		holds(t, "window", f.Window, inMS(c.window))
		if f.Window != nil && c.full != !math.IsInf(f.Window.High, 1) {
			t.Errorf("%g of %v: window %+v", c.share, c.window, f.Window)
		}
		if f.Share != nil && width(&f.Share.Interval) > 0.2*c.share+0.02 {
			t.Errorf("%g of %v: share %+v", c.share, c.window, f.Share)
		}
	}
}

// Of an opening on a swamped machine nothing is learnt, for the breaker may have heard of
// failures by any time late; and that is said.
func TestLearnShareOnASwampedMachine(t *testing.T) {
	f := &Findings{Subject: pay}
	for _, trial := range []string{Quick, Long} {
		at := calm
		if trial == Long {
			at = longCalm
		}
		run := shared(at, 10*time.Second, 0.5, 10)
		for at := time.Second; at <= run.End; at += time.Second {
			run.Ticks = append(run.Ticks, evidence.Tick{At: at, Pressure: 1, Runnable: 20, Cores: 2})
		}
		if err := f.Learn(Trial{Name: trial}, run); err != nil {
			t.Fatal(err)
		}
	}
	yes := true
	f.Later = &yes // as a trial before may have told
	if f.learnShare(); f.Share != nil {
		t.Errorf("share %+v of a swamped machine", f.Share)
	}
	if at := slices.IndexFunc(f.Rows(), func(r Row) bool { return r.Name == "share that opens it" && strings.Contains(r.Text, "swamped") }); at < 0 {
		t.Errorf("it does not say that the share cannot be told: %v", f.Rows())
	}
}

// Several instances have a count each: together they take a failure more or less, which
// is no share.
func TestLearnLaterOfInstances(t *testing.T) {
	run := shared(longCalm, 400*ms, 1, 1) // 21 in a row
	for _, c := range []struct {
		failures, probes float64
		want             bool
	}{{19, 3, false}, {18, 3, true}, {20, 1, true}} {
		f := &Findings{Subject: pay, Failures: figure(c.failures, c.failures), Probes: figure(c.probes, c.probes)}
		if f.learnLater(run); f.Later == nil || *f.Later != c.want {
			t.Errorf("%v failures before, %v probes: later %v, want %v", c.failures, c.probes, f.Later, c.want)
		}
	}
}

// A breaker that counts failures in a row has no share, however long the calm is.
func TestLearnNoShare(t *testing.T) {
	f := &Findings{Subject: pay}
	for _, trial := range []string{Quick, Long} {
		at := calm
		if trial == Long {
			at = longCalm
		}
		run := shared(at, 400*ms, 1, 1) // 20 in a row
		if err := f.Learn(Trial{Name: trial}, run); err != nil {
			t.Fatal(err)
		}
	}
	if f.Later == nil || *f.Later || f.Share != nil || f.Window != nil {
		t.Errorf("got later %v, share %+v, window %+v; want none", f.Later, f.Share, f.Window)
	}
}
