package reference

import (
	"encoding/json"
	"fmt"
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

func TestDependencyAnswers(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"body": "5B", "service_time": "1ms", "jitter": "1ms"}})
	tests := []struct {
		path, after string
		status      int
		body        string
	}{
		{"/", "", 200, "okoko"},
		{"/any/path", "", 200, "okoko"},
		{"/healthz", "", 200, "okoko"},
		{"/?status=503&retry_after=1", "1", 503, "okoko"},
		{"/?status=204", "", 204, ""},
		{"/?status=99", "", 400, "status \"99\": must be from 200 to 599\n"},
		{"/?delay=soon&status=x", "", 400, "status \"x\": must be from 200 to 599\ndelay \"soon\": must be a duration like 50ms\n"},
	}
	for _, test := range tests {
		status, header, body := fetch(t, "GET", url+test.path, "")
		if status != test.status || body != test.body || header.Get("Retry-After") != test.after {
			t.Errorf("%s: got %d %q after %q, want %d %q after %q", test.path, status, body, header.Get("Retry-After"), test.status, test.body, test.after)
		}
	}
	began := time.Now()
	fetch(t, "GET", url+"/?delay=50ms", "")
	if took := time.Since(began); took < 51*ms {
		t.Errorf("1ms of service time and 50ms of delay took %s", took)
	}
}

func TestDependencyCountsEffects(t *testing.T) {
	url := serving(t, "dependency", Config{With: map[string]string{"id_header": "X-Order"}})
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for range 3 {
		fetch(t, "POST", url+"/", "", "X-Order", "a", "Traceparent", trace)
	}
	fetch(t, "POST", url+"/", "", "X-Order", "b")
	fetch(t, "POST", url+"/", "", "Traceparent", trace)
	fetch(t, "POST", url+"/", "", "Traceparent", trace)
	fetch(t, "POST", url+"/", "")
	fetch(t, "POST", url+"/?status=503", "", "X-Order", "c")
	// Ids: a 3 times, b, the trace twice: 2 + 1 duplicates; one anonymous.
	want := effectTotals{Requests: 7, IDs: 3, Anonymous: 1, Duplicates: 3, MaxPerID: 3, Refused: 1}
	if diff := cmp.Diff(want, totalsOf(t, url)); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	for id, want := range map[string]int{"a": 3, "b": 1, "c": 0, "0af7651916cd43dd8448eb211c80319c": 2} {
		_, _, body := fetch(t, "GET", url+"/effects/"+id, "")
		if wanted := fmt.Sprintf("{\"id\":%q,\"effects\":%d}\n", id, want); body != wanted {
			t.Errorf("effects of %s: %q, want %q", id, body, wanted)
		}
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
		kept += len(e.shards[i].times)
		if got := cap(e.shards[i].order); got > 64 {
			t.Errorf("shard %d holds room for %d ids, want 4", i, got)
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
