package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

const answer503 = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

// statuses sends so many GETs over one connection after the other to a server
// that says 200, and returns what came.
func (l *testLink) statuses(n int) (got []int) {
	l.T.Helper()
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range n {
		res, err := client.Get("http://" + l.Addr() + "/pay")
		if err != nil {
			l.T.Fatal(err)
		}
		res.Body.Close()
		got = append(got, res.StatusCode)
		l.Next()
	}
	return got
}

func serve200(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestFailThenSucceed(t *testing.T) {
	l := listen(t, serve200(t))
	remove := l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, First: 2}})
	if diff := cmp.Diff([]int{503, 503, 200, 200}, l.statuses(4)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	remove()
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, First: 1}}) // counts afresh
	l.Add(1, toxic.Errors{Status: toxic.Statuses{500}, Select: toxic.Select{Share: 1, Every: 3}})
	if diff := cmp.Diff([]int{503, 200, 500, 200, 200, 500}, l.statuses(6)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNthConnection(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Connection: 2}}})
	first, up := warm(l, d)
	second := l.Dial()
	second.Send(wiretest.Get)
	second.Expect(answer503)
	if x := l.Next(); x.Conn != 2 || x.Faults != 1 {
		t.Errorf("recorded %+v", x)
	}
	untouched(l, first, up)
}

// TestMaxActiveOnALink: of three callers at once, one is let go, and counted.
func TestMaxActiveOnALink(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	remove := l.Add(4, toxic.Hang{Select: toxic.Select{Share: 1, MaxActive: 2}})
	held := []*wiretest.Caller{l.Dial(), l.Dial()}
	for i, c := range held {
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == i+1 })
	}
	free := l.Dial()
	free.Send(wiretest.Get)
	up := d.Take()
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	free.Expect(wiretest.OK)
	l.recorded(evidence.Answered, 200, false)
	if hit, over := l.Hit(4), l.Overflow(4); hit != 2 || over != 1 {
		t.Errorf("hit %d, overflow %d; want 2 and 1", hit, over)
	}
	held[0].Close() // makes room for one
	l.recorded(evidence.CallerGone, 0, true)
	free.Send(wiretest.Get)
	wiretest.Eventually(t, "it is held", func() bool { return l.Hit(4) == 3 })
	remove()
	other := d.Take()
	other.Expect(wiretest.Get)
	other.Send(wiretest.OK)
	held[1].Expect(wiretest.OK)
	l.recorded(evidence.Answered, 200, true)
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	free.Expect(wiretest.OK)
	l.recorded(evidence.Answered, 200, true)
	if over := l.Overflow(4); over != 1 {
		t.Errorf("overflow %d, want 1", over)
	}
}

// TestCycleOnALink: a hang that comes and goes lets go of what it held each
// time it goes.
func TestCycleOnALink(t *testing.T) {
	l := listen(t, serve200(t))
	remove := l.Add(4, toxic.Hang{Select: toxic.Select{Share: 1, Cycle: &toxic.Cycle{On: 30 * time.Millisecond, Off: 30 * time.Millisecond}}})
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	held, free := 0, 0
	for deadline := time.Now().Add(wiretest.Patience); held < 3 || free < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests held and %d free: it does not come and go", held, free)
		}
		res, err := client.Get("http://" + l.Addr()) // comes back only because it goes
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		switch x := l.Next(); {
		case x.Faults == 1<<4 && x.Status == 200:
			held++
		case x.Faults == 0 && x.Status == 200:
			free++
		default:
			t.Fatalf("recorded %+v", x)
		}
	}
	remove()
	if got := l.statuses(3); !slices.Equal(got, []int{200, 200, 200}) {
		t.Errorf("after the heal: %v", got)
	}
	// A cycle that is never healed ends with the link: its goroutine is looked for.
	l.Add(4, toxic.Hang{Select: toxic.Select{Share: 1, Cycle: &toxic.Cycle{On: time.Millisecond, Off: time.Millisecond}}})
}

// TestRampOnALink: it takes next to nothing at first, and all in the end.
func TestRampOnALink(t *testing.T) {
	l := listen(t, serve200(t))
	remove := l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Ramp: 10_000 * time.Hour}})
	// The share stays below one in a million for as long as this test may take.
	if got := l.statuses(3); slices.Contains(got, 503) {
		t.Errorf("at its beginning: %v", got)
	}
	remove()
	l.Add(4, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Ramp: time.Nanosecond}})
	if got := l.statuses(3); !slices.Equal(got, []int{503, 503, 503}) {
		t.Errorf("at its full size: %v", got)
	}
}

// TestSameSeedSameFaults: two links with the same seed do the same to the same
// requests, whatever the faults and how they choose; one with another does not.
func TestSameSeedSameFaults(t *testing.T) {
	const n = 300
	toxics := []toxic.Toxic{
		toxic.Latency{Delay: 2 * time.Microsecond, Jitter: time.Microsecond, Distribution: "pareto", Select: toxic.Select{Share: 0.4}},
		toxic.Errors{Status: toxic.Statuses{500, 502, 503}, Select: toxic.Select{Share: 0.2, Every: 2}},
		toxic.Reset{When: "during", Select: toxic.Select{Share: 0.1}},
		toxic.Reset{When: "after", Select: toxic.Select{Share: 0.1}},
		toxic.Truncate{After: 5, Select: toxic.Select{Share: 0.1}},
		toxic.Corrupt{Bytes: 0.3, Select: toxic.Select{Share: 0.3}},
		toxic.SlowBody{Piece: 4, Pause: time.Microsecond, Select: toxic.Select{Share: 0.2, First: 200}},
		toxic.DropResponse{Then: "reset", Select: toxic.Select{Share: 0.1}},
		toxic.Duplicate{Select: toxic.Select{Share: 0.1, Match: &toxic.Match{Method: "GET"}}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789") }))
	defer server.Close()
	run := func(seed uint64) (seen []string) {
		l := listen(t, server.Listener.Addr().String(), func(c *Config) { c.Seed = seed })
		for i, tx := range toxics {
			l.Add(i, tx)
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for id := range uint64(n) {
			req, _ := http.NewRequest("POST", "http://"+l.Addr(), nil)
			if id%2 == 0 {
				req.Method = "GET"
			}
			req.Header.Set("X-Request-Id", string(wire.AppendID(nil, wire.ID{Run: 1, Seq: id + 1})))
			what := "nothing"
			if res, err := client.Do(req); err == nil {
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				what = fmt.Sprintf("%d %q %v", res.StatusCode, body, err != nil)
			}
			x := l.Next()
			if x.ID != id+1 {
				t.Fatalf("request %d is recorded as %+v", id+1, x)
			}
			seen = append(seen, fmt.Sprintf("%d: %b %v %s", id+1, x.Faults, x.Ending, what))
		}
		for i := range toxics {
			if l.Hit(i) == 0 {
				t.Errorf("%v hit nothing", toxics[i])
			}
		}
		return seen
	}
	one, two, other := run(7), run(7), run(8)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("the same seed does something else:\n%s", diff)
	}
	if slices.Equal(one, other) {
		t.Error("another seed does the same")
	}
}
