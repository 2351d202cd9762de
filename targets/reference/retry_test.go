package reference

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

var retryLibraries = []string{"cenkalti", "retryablehttp", "failsafe"}

func eachRetry(t *testing.T, with map[string]string, test func(t *testing.T, c *chain, s *script)) {
	for _, library := range retryLibraries {
		t.Run(library, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answer: always(answer{status: 503})}
				test(t, newChain(t, merge(map[string]string{"retry": library}, with), s), s)
			})
		})
	}
}

// gaps returns the waits between attempts, from the end of one to the begin of
// the next.
func (s *script) gaps() []time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(s.begun); i++ {
		gaps = append(gaps, s.begun[i].Sub(s.ended[i-1]))
	}
	return gaps
}

func (s *script) forget() { s.begun, s.ended, s.bodies = nil, nil, nil }

const ms = time.Millisecond

func TestRetryWaitsByTheLaw(t *testing.T) {
	tests := map[string]struct {
		with  map[string]string
		least []time.Duration // one for each retry; the most is 1.5 times that
		most  float64
	}{
		"textbook":  {nil, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms}, 1.5},
		"scaled":    {map[string]string{"retries": "2", "base": "10ms", "factor": "3", "jitter": "20%"}, []time.Duration{10 * ms, 30 * ms}, 1.2},
		"capped":    {map[string]string{"cap": "250ms"}, []time.Duration{100 * ms, 200 * ms, 250 * ms, 250 * ms}, 1.5},
		"linear":    {map[string]string{"law": "linear", "cap": "250ms"}, []time.Duration{100 * ms, 200 * ms, 250 * ms, 250 * ms}, 1.5},
		"no-growth": {map[string]string{"flaw": "no-growth"}, []time.Duration{100 * ms, 100 * ms, 100 * ms, 100 * ms}, 1.5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eachRetry(t, test.with, func(t *testing.T, c *chain, s *script) {
				lowest, highest := 2.0, 0.0
				for range 200 {
					s.forget()
					if status, err := c.get(); status != 503 || err != nil {
						t.Fatalf("got %d, %v, want the last answer", status, err)
					}
					gaps := s.gaps()
					if len(gaps) != len(test.least) {
						t.Fatalf("%d retries, want %d", len(gaps), len(test.least))
					}
					for i, gap := range gaps {
						ratio := float64(gap) / float64(test.least[i])
						if ratio < 0.999999 || ratio > test.most+0.000001 { // libraries round to nanoseconds
							t.Fatalf("retry %d came after %s, want %s to %g times that", i+1, gap, test.least[i], test.most)
						}
						lowest, highest = min(lowest, ratio), max(highest, ratio)
					}
				}
				// Of at least 400 even draws none in the outer tenth: 0.9^400 < 10^-18.
				width := test.most - 1
				if lowest > 1+width/10 || highest < test.most-width/10 {
					t.Errorf("waits are spread from %.3f to %.3f, want 1 to %g", lowest, highest, test.most)
				}
			})
		})
	}
}

// The laws that no library has: each is kept, and reaches both of its ends.
func TestRetryOwnLaws(t *testing.T) {
	tests := map[string]struct {
		with   map[string]string
		within func(n int, before time.Duration) (least, most time.Duration)
	}{
		"noise": {map[string]string{"law": "noise", "noise": "40ms"}, func(n int, _ time.Duration) (time.Duration, time.Duration) {
			return 100 * ms << n, 100*ms<<n + 40*ms
		}},
		"decorrelated": {map[string]string{"law": "decorrelated", "cap": "450ms"}, func(_ int, before time.Duration) (time.Duration, time.Duration) {
			return 100 * ms, min(450*ms, 3*max(before, 100*ms))
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eachRetry(t, test.with, func(t *testing.T, c *chain, s *script) {
				lowest, highest := 1.0, 0.0
				for range 200 {
					s.forget()
					c.get()
					var before time.Duration
					for n, gap := range s.gaps() {
						least, most := test.within(n, before)
						share := float64(gap-least) / float64(most-least)
						if share < -0.000001 || share > 1.000001 {
							t.Fatalf("retry %d came after %s, want %s to %s", n+1, gap, least, most)
						}
						lowest, highest, before = min(lowest, share), max(highest, share), gap
					}
				}
				// 0.9^800 < 10^-36
				if lowest > 0.1 || highest < 0.9 {
					t.Errorf("waits are spread over %.3f to %.3f of their range", lowest, highest)
				}
			})
		})
	}
}

func TestRetryExactWaits(t *testing.T) {
	tests := map[string]struct {
		with map[string]string
		want []time.Duration
	}{
		"immediate": {map[string]string{"flaw": "immediate"}, []time.Duration{0, 0, 0, 0}},
		"no-jitter": {map[string]string{"flaw": "no-jitter"}, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms}},
		"no retry":  {map[string]string{"retries": "0"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eachRetry(t, test.with, func(t *testing.T, c *chain, s *script) {
				c.get()
				got := s.gaps()
				if len(got) != len(test.want) {
					t.Fatalf("waits %v, want %v", got, test.want)
				}
				for i := range got {
					if d := (got[i] - test.want[i]).Abs(); d > time.Nanosecond {
						t.Errorf("waits %v, want %v", got, test.want)
					}
				}
			})
		})
	}
}

func TestRetryWhat(t *testing.T) {
	type row struct {
		method string
		key    string
		answer answer
		sound  int // attempts
		flawed map[string]int
	}
	rows := []row{
		{"GET", "", answer{status: 200}, 1, nil},
		{"GET", "", answer{status: 301}, 1, nil},
		{"GET", "", answer{status: 429}, 5, nil},
		{"GET", "", answer{status: 502}, 5, nil},
		{"GET", "", answer{status: 503}, 5, map[string]int{"unbounded": 25}},
		{"GET", "", answer{status: 504}, 5, nil},
		{"GET", "", answer{status: 500}, 1, nil},
		{"GET", "", answer{status: 501}, 1, nil},
		{"GET", "", answer{err: errRefused}, 5, map[string]int{"unbounded": 25}},
		{"GET", "", answer{takes: time.Hour}, 5, nil}, // timeout of 1 s
		{"PUT", "", answer{status: 503}, 5, nil},
		{"DELETE", "", answer{status: 503}, 5, nil},
		{"POST", "", answer{status: 503}, 1, map[string]int{"retries-post": 5}},
		{"POST", "", answer{err: errRefused}, 1, map[string]int{"retries-post": 5}},
		{"PATCH", "", answer{status: 503}, 1, map[string]int{"retries-post": 5}},
		{"POST", "k1", answer{status: 503}, 5, nil},
		{"POST", "k1", answer{takes: time.Hour}, 5, nil},
	}
	for _, status := range []int{400, 401, 403, 404, 409} {
		rows = append(rows, row{"GET", "", answer{status: status}, 1, map[string]int{"retries-400": 5}})
	}
	for _, flaw := range []string{"", "unbounded", "retries-400", "retries-post", "ignores-retry-after", "no-growth"} {
		with := map[string]string{}
		if flaw != "" {
			with["flaw"] = flaw
		}
		t.Run("flaw="+flaw, func(t *testing.T) {
			eachRetry(t, with, func(t *testing.T, c *chain, s *script) {
				for _, r := range rows {
					s.forget()
					s.answer = always(r.answer)
					req := request(t.Context(), r.method)
					req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte("order"))), nil }
					if r.key != "" {
						req.Header.Set("Idempotency-Key", r.key)
					}
					status, err := c.send(req)
					want, broken := r.flawed[flaw]
					if !broken {
						want = r.sound
						if flaw == "unbounded" && want == 5 {
							want = 25
						}
					}
					if got := len(s.begun); got != want {
						t.Errorf("%s key=%q %+v: %d attempts, want %d", r.method, r.key, r.answer, got, want)
					}
					if (err == nil) != (r.answer.status != 0) || status != r.answer.status {
						t.Errorf("%s %+v: got %d, %v", r.method, r.answer, status, err)
					}
					for _, body := range s.bodies {
						if body != "order" {
							t.Errorf("%s %+v: an attempt had the body %q", r.method, r.answer, body)
						}
					}
				}
			})
		})
	}
}

func TestRetryStopsWhenItSucceeds(t *testing.T) {
	eachRetry(t, nil, func(t *testing.T, c *chain, s *script) {
		s.answer = func(n int, _ *http.Request) answer {
			return []answer{{status: 503}, {err: errRefused}, {status: 404}}[n]
		}
		if status, err := c.get(); status != 404 || err != nil || len(s.begun) != 3 {
			t.Errorf("got %d, %v after %d attempts, want 404 after 3", status, err, len(s.begun))
		}
	})
}

func TestUnboundedGrowsNoFurther(t *testing.T) {
	eachRetry(t, map[string]string{"flaw": "unbounded"}, func(t *testing.T, c *chain, s *script) {
		c.get()
		for i, gap := range s.gaps() {
			least := min(100*ms<<min(i, 10), 800*ms)
			if gap < least-time.Nanosecond || gap > least*3/2+time.Nanosecond {
				t.Errorf("retry %d came after %s, want %s to 1.5 times that", i+1, gap, least)
			}
		}
	})
}

func TestRetryAfterIsALowerBound(t *testing.T) {
	for _, flaw := range []string{"", "ignores-retry-after"} {
		with := map[string]string{}
		if flaw != "" {
			with["flaw"] = flaw
		}
		for _, form := range []string{"seconds", "date"} {
			t.Run(flaw+" "+form, func(t *testing.T) {
				eachRetry(t, with, func(t *testing.T, c *chain, s *script) {
					s.answer = func(n int, _ *http.Request) answer {
						a := answer{status: 503}
						switch {
						case n == 1 && form == "seconds":
							a.retryAfter = "3"
						case n == 1:
							// Dates have whole seconds: round up to the next.
							a.retryAfter = time.Now().Add(4 * time.Second).Truncate(time.Second).UTC().Format(http.TimeFormat)
						}
						return a
					}
					c.get()
					// Waits 1, 3 and 4 keep to the law: 100, 400, 800 ms.
					least := []time.Duration{100 * ms, 3 * time.Second, 400 * ms, 800 * ms}
					most := []time.Duration{150 * ms, 6 * time.Second, 600 * ms, 1200 * ms}
					if flaw != "" {
						least[1], most[1] = 200*ms, 300*ms
					}
					for i, gap := range s.gaps() {
						if gap < least[i]-1 || gap > most[i]+1 {
							t.Errorf("retry %d came after %s, want %s to %s", i+1, gap, least[i], most[i])
						}
					}
					if len(s.begun) != 5 {
						t.Errorf("%d attempts, want 5", len(s.begun))
					}
				})
			})
		}
	}
}

func TestRetryGivesUp(t *testing.T) {
	tests := map[string]struct {
		with       map[string]string
		retryAfter string
		within     time.Duration // the caller's deadline; 0 means none
		attempts   int
	}{
		"Retry-After at the limit":    {nil, "10", 0, 5},
		"Retry-After past the limit":  {nil, "11", 0, 1},
		"limit is settable":           {map[string]string{"retry_after_max": "1m"}, "11", 0, 5},
		"deadline before Retry-After": {nil, "2", time.Second, 1},
		// 100..150 + 200..300 ms have passed by the third attempt; 400 more do not fit.
		"deadline before the law's wait": {nil, "", 600 * ms, 3},
		"deaf to limit and header":       {map[string]string{"flaw": "ignores-retry-after"}, "11", 0, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eachRetry(t, test.with, func(t *testing.T, c *chain, s *script) {
				s.answer = always(answer{status: 503, retryAfter: test.retryAfter})
				ctx := t.Context()
				if test.within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.within)
					defer cancel()
				}
				began := time.Now()
				status, err := c.send(request(ctx, http.MethodGet))
				if status != 503 || err != nil || len(s.begun) != test.attempts {
					t.Errorf("got %d, %v after %d attempts, want the answer after %d", status, err, len(s.begun), test.attempts)
				}
				if test.within > 0 && time.Since(began) >= test.within {
					t.Errorf("it gave up after %s, want before the deadline of %s", time.Since(began), test.within)
				}
			})
		})
	}
}

func TestRetryEndsWhenTheCallerGoes(t *testing.T) {
	eachRetry(t, nil, func(t *testing.T, c *chain, s *script) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel) // during the wait before retry 4 or 3
		began := time.Now()
		c.send(request(ctx, http.MethodGet))
		if took := time.Since(began); took != time.Second {
			t.Errorf("it returned after %s, want when the caller went: 1s", took)
		}
	})
}

// A breaker inside rejects retries too, and a rejection is not retried.
func TestRetryDoesNotHammerABreaker(t *testing.T) {
	eachRetry(t, map[string]string{"breaker": "gobreaker", "failures": "3"}, func(t *testing.T, c *chain, s *script) {
		began := time.Now()
		_, err := c.get()
		if rejectedBy(err) != "breaker" || len(s.begun) != 3 {
			t.Errorf("got %v after %d attempts, want a rejection after 3", err, len(s.begun))
		}
		// Waits of at most 150 + 300 + 600 ms come before the rejection.
		if took := time.Since(began); took > 1050*ms+3 {
			t.Errorf("it took %s: the rejection was retried", took)
		}
		if _, err := c.get(); rejectedBy(err) != "breaker" {
			t.Errorf("open: %v", err)
		}
	})
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		"-7":                             0,
		"1.5":                            0,
		"soon":                           0,
		"Mon, 23 Nov 2026 12:00:09 GMT":  9 * time.Second,
		"Monday, 23-Nov-26 12:00:09 GMT": 9 * time.Second, // RFC 850
		"Mon Nov 23 12:00:09 2026":       9 * time.Second, // asctime
		"Mon, 23 Nov 2026 11:00:00 GMT":  0,               // over
	}
	for value, want := range tests {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", value, got, want)
		}
	}
	if got := retryAfter("99999999999999", now); got < 1000*time.Hour {
		t.Errorf("a huge Retry-After became %s", got)
	}
}

func TestLawDoesNotOverflow(t *testing.T) {
	l := law{base: time.Hour, factor: 100, jitter: 1}
	for n := range 200 {
		if d := l.spread(l.least(n), 0.999); d <= 0 || d > 2*longest {
			t.Fatalf("wait before retry %d is %s", n, d)
		}
	}
	if got := fmt.Sprint(law{factor: 2}.least(5)); got != "0s" {
		t.Errorf("base 0 waits %s", got)
	}
}
