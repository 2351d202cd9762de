package reference

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func totalsOf(t *testing.T, url string) effectTotals {
	t.Helper()
	_, _, body := fetch(t, "GET", url+"/effects", "")
	var totals effectTotals
	if err := json.Unmarshal([]byte(body), &totals); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return totals
}

// protocols are the ways to the dependency: each has its own code.
func protocols(t *testing.T) map[string]http.RoundTripper {
	plain := new(http.Transport)
	t.Cleanup(plain.CloseIdleConnections)
	return map[string]http.RoundTripper{
		"h2c":   h2cTransport(t),
		"http1": plain,
		"net/http": roundTrip(func(req *http.Request) (*http.Response, error) {
			req.Header.Set("Upgrade", "nothing") // not plain
			return plain.RoundTrip(req)
		}),
	}
}

func TestDependencyAnswers(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"body": "5B", "service_time": "1ms", "jitter": "1ms"}})
	tests := []struct {
		method, path, body string
		status             int
		after, want        string
	}{
		{"GET", "/", "", 200, "", "okoko"},
		{"GET", "/any/path", "", 200, "", "okoko"},
		{"GET", "/healthz", "", 200, "", "okoko"},
		{"GET", "/%68ealthz", "", 200, "", "okoko"},
		{"HEAD", "/", "", 200, "", ""},
		{"PUT", "/", "order", 200, "", "okoko"},
		{"POST", "/", strings.Repeat("x", 1<<20), 200, "", "okoko"},
		{"POST", "/", strings.Repeat("x", 3<<20), 200, "", "okoko"}, // more than any window
		{"GET", "/?status=503&retry_after=1", "", 503, "1", "okoko"},
		{"GET", "/?status=204", "", 204, "", ""},
		{"GET", "/?status=99", "", 400, "", "status \"99\": must be from 200 to 599\n"},
		{"GET", "/?retry_after=1%0aX:y", "", 400, "", "retry_after \"1\\nX:y\": must be at most 256 bytes that a header may carry\n"},
		{"GET", "/?delay=soon&status=x", "", 400, "", "status \"x\": must be from 200 to 599\ndelay \"soon\": must be a duration like 50ms\n"},
	}
	for name, transport := range protocols(t) {
		t.Run(name, func(t *testing.T) {
			for _, test := range tests {
				status, header, body := fetchBy(t, transport, test.method, url+test.path, test.body)
				if status != test.status || body != test.want || header.Get("Retry-After") != test.after {
					t.Errorf("%s %s: got %d %q after %q, want %d %q after %q", test.method, test.path,
						status, body, header.Get("Retry-After"), test.status, test.want, test.after)
				}
				if date, err := http.ParseTime(header.Get("Date")); err != nil || time.Since(date).Abs() > 2*time.Second {
					t.Errorf("%s %s: Date is %q", test.method, test.path, header.Get("Date"))
				}
			}
			began := time.Now()
			fetchBy(t, transport, "GET", url+"/?delay=50ms", "")
			if took := time.Since(began); took < 51*ms {
				t.Errorf("1ms of service time and 50ms of delay took %s", took)
			}
		})
	}
}

func TestDependencyCountsEffects(t *testing.T) {
	for name, transport := range protocols(t) {
		t.Run(name, func(t *testing.T) {
			url := serving(t, "dependency", Config{With: map[string]string{"id_header": "X-Order"}})
			fetch := func(method, path string, header ...string) string {
				_, _, body := fetchBy(t, transport, method, url+path, "", header...)
				return body
			}
			trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			for range 3 {
				fetch("POST", "/", "X-Order", "a", "Traceparent", trace)
			}
			fetch("POST", "/", "X-Order", "b")
			fetch("POST", "/", "Traceparent", trace)
			fetch("POST", "/", "Traceparent", trace)
			fetch("POST", "/")
			fetch("POST", "/?status=503", "X-Order", "c")
			// Ids: a 3 times, b, the trace twice: 2 + 1 duplicates; one anonymous.
			want := effectTotals{Requests: 7, IDs: 3, Anonymous: 1, Duplicates: 3, MaxPerID: 3, Refused: 1}
			if diff := cmp.Diff(want, totalsOf(t, url)); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
			for id, want := range map[string]int{"a": 3, "b": 1, "c": 0, "0af7651916cd43dd8448eb211c80319c": 2} {
				body := fetch("GET", "/effects/"+id)
				if wanted := fmt.Sprintf("{\"id\":%q,\"effects\":%d}\n", id, want); body != wanted {
					t.Errorf("effects of %s: %q, want %q", id, body, wanted)
				}
			}
		})
	}
}

func TestEffectsAreBoundedAndSaySo(t *testing.T) {
	const remember, ids = 256 * 4, 10_000
	e := newEffects(remember)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < ids; i += 4 {
				e.count(fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	kept := 0
	for i := range e.shards {
		kept += e.shards[i].ids
		if got := len(e.shards[i].groups); got > 8 {
			t.Errorf("shard %d has room for %d groups, of at most 4 ids and the one to come", i, got)
		}
	}
	totals := e.totals()
	if kept > remember || totals.Forgotten != uint64(ids-kept) || totals.IDs != ids || totals.Requests != ids {
		t.Errorf("kept %d of %d, totals %+v; want at most %d, the others counted as forgotten", kept, ids, totals, remember)
	}
	e.count("the newest")
	e.count("the newest")
	if got := e.of("the newest"); got != 2 {
		t.Errorf("effects of the newest: %d, want 2", got)
	}
}

func TestSleepIsNeverShort(t *testing.T) {
	for _, d := range []time.Duration{0, 50 * time.Microsecond, ms, 3 * ms} {
		began := time.Now()
		sleep(d)
		if took := time.Since(began); took < d {
			t.Errorf("sleep(%s) took %s", d, took)
		}
	}
}
