package reference

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble are the libraries whose time a bubble can rule. hystrix counts in a
// goroutine that never ends; it is tested by the wall clock below.
var inBubble = []string{"gobreaker", "failsafe"}

// eachBreaker runs a test with exact time for each library, sound or flawed.
func eachBreaker(t *testing.T, flaw string, test func(t *testing.T, c *chain, s *script)) {
	for _, library := range inBubble {
		t.Run(library, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				with := map[string]string{"breaker": library, "failures": "5", "open": "30s"}
				if flaw != "" {
					with["flaw"] = flaw
				}
				test(t, newChain(t, with, s), s)
			})
		})
	}
}

// fail makes n calls that fail, and reports how many reached the dependency.
func fail(c *chain, s *script, n int) int {
	before := s.calls()
	s.answer = always(answer{status: 503})
	for range n {
		c.get()
	}
	return s.calls() - before
}

// pass does the same with calls that succeed.
func pass(c *chain, s *script, n int) int {
	before := s.calls()
	s.answer = nil
	for range n {
		c.get()
	}
	return s.calls() - before
}

func TestBreakerOpensOnFailuresInARow(t *testing.T) {
	eachBreaker(t, "", func(t *testing.T, c *chain, s *script) {
		if got := fail(c, s, 4) + pass(c, s, 1) + fail(c, s, 4); got != 9 {
			t.Fatalf("four failures, a success, four failures: %d calls, want 9", got)
		}
		if got := fail(c, s, 10); got != 1 {
			t.Fatalf("the fifth in a row opens it: %d calls passed, want 1", got)
		}
		began := time.Now()
		_, err := c.get()
		if rejectedBy(err) != "breaker" || time.Since(began) != 0 {
			t.Errorf("open: got %v after %s, want a rejection at once", err, time.Since(began))
		}
	})
}

func TestBreakerProbesAndCloses(t *testing.T) {
	eachBreaker(t, "", func(t *testing.T, c *chain, s *script) {
		fail(c, s, 5)
		time.Sleep(30*time.Second - time.Nanosecond)
		if got := pass(c, s, 3); got != 0 {
			t.Fatalf("before the wait is over: %d calls passed, want 0", got)
		}
		// A probe that takes a second: all others are rejected meanwhile.
		time.Sleep(2 * time.Nanosecond)
		s.answer = always(answer{status: 503, takes: 900 * time.Millisecond})
		before := s.calls()
		go c.get()
		synctest.Wait()
		for range 5 {
			if _, err := c.get(); rejectedBy(err) != "breaker" {
				t.Fatalf("during the probe: %v, want a rejection", err)
			}
		}
		time.Sleep(time.Second)
		if got := s.calls() - before; got != 1 {
			t.Fatalf("%d probes, want 1", got)
		}
		// It failed, so the wait begins again, at its end.
		time.Sleep(29 * time.Second)
		if got := pass(c, s, 3); got != 0 {
			t.Fatalf("%d calls within the second wait, which lasts until 30.9 + 30 s", got)
		}
		time.Sleep(time.Second)
		if got := pass(c, s, 3); got != 3 {
			t.Errorf("after a good probe: %d calls of 3 passed", got)
		}
	})
}

func TestBreakerDoesNotCountWhatIsNotTheDependencys(t *testing.T) {
	eachBreaker(t, "", func(t *testing.T, c *chain, s *script) {
		s.answer = always(answer{status: 404})
		for range 20 {
			c.get()
		}
		s.answer = always(answer{takes: 500 * time.Millisecond})
		for range 20 {
			left, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			c.send(request(left, http.MethodGet))
		}
		if got := pass(c, s, 1); got != 1 {
			t.Error("4xx and callers that went away opened it")
		}
		// Timeouts and network errors do count: 3 + 2 = 5.
		s.answer = always(answer{takes: time.Hour})
		for range 3 {
			c.get()
		}
		s.answer = always(answer{err: errRefused})
		for range 2 {
			c.get()
		}
		if got := pass(c, s, 1); got != 0 {
			t.Error("timeouts and network errors did not open it")
		}
	})
}

func TestBreakerIsNotStuckByALostProbe(t *testing.T) {
	eachBreaker(t, "", func(t *testing.T, c *chain, s *script) {
		fail(c, s, 5)
		time.Sleep(31 * time.Second)
		s.answer = always(answer{takes: 500 * time.Millisecond})
		left, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := c.send(request(left, http.MethodGet)); err == nil {
			t.Fatal("the probe's caller went away, but was answered")
		}
		time.Sleep(31 * time.Second)
		if got := pass(c, s, 3); got != 3 {
			t.Errorf("a wait after a lost probe: %d of 3 passed", got)
		}
	})
}

func TestBreakerIgnoresResultsOfAnEarlierState(t *testing.T) {
	for _, library := range inBubble {
		t.Run(library, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answer: always(answer{takes: 40 * time.Second})}
				c := newChain(t, map[string]string{"breaker": library, "open": "30s", "timeout": "none"}, s)
				go c.get() // succeeds 10 s after the wait
				synctest.Wait()
				fail(c, s, 5)
				time.Sleep(31 * time.Second)
				s.answer = always(answer{status: 503, takes: 20 * time.Second})
				go c.get() // the probe
				synctest.Wait()
				time.Sleep(10 * time.Second)
				if got := pass(c, s, 3); got != 0 {
					t.Errorf("a call begun before it opened closed it: %d passed", got)
				}
				time.Sleep(20 * time.Second)
			})
		})
	}
}

func TestBreakerNeedsAllProbes(t *testing.T) {
	for _, library := range inBubble {
		t.Run(library, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				c := newChain(t, map[string]string{"breaker": library, "probes": "3"}, s)
				fail(c, s, 5)
				time.Sleep(31 * time.Second)
				if got := pass(c, s, 2) + fail(c, s, 5); got != 3 {
					t.Errorf("two good probes and a bad one: %d passed, want 3", got)
				}
				time.Sleep(31 * time.Second)
				if got := pass(c, s, 9); got != 9 {
					t.Errorf("three good probes: %d of 9 passed", got)
				}
			})
		})
	}
}

func TestFlawNeverOpens(t *testing.T) {
	eachBreaker(t, "never-opens", func(t *testing.T, c *chain, s *script) {
		if got := fail(c, s, 100); got != 100 {
			t.Errorf("%d of 100 passed", got)
		}
	})
}

func TestFlawOpensLate(t *testing.T) {
	eachBreaker(t, "opens-late", func(t *testing.T, c *chain, s *script) {
		if got := fail(c, s, 100); got != 50 {
			t.Errorf("%d passed, want 10·5", got)
		}
	})
}

func TestFlawKeepsCalling(t *testing.T) {
	eachBreaker(t, "keeps-calling", func(t *testing.T, c *chain, s *script) {
		fail(c, s, 5)
		s.answer = always(answer{takes: 500 * time.Millisecond})
		before := s.calls()
		for range 10 {
			began := time.Now()
			if _, err := c.get(); rejectedBy(err) != "breaker" || time.Since(began) != 0 {
				t.Fatalf("got %v after %s, want a rejection at once", err, time.Since(began))
			}
		}
		c.background.Wait()
		if got := s.calls() - before; got != 5 {
			t.Errorf("10 rejected, %d called, want every second", got)
		}
		time.Sleep(30 * time.Second)
		if got := pass(c, s, 5); got != 5 {
			t.Errorf("else it is sound, but %d of 5 passed after the wait", got)
		}
	})
}

func TestFlawHalfOpenFlood(t *testing.T) {
	eachBreaker(t, "half-open-flood", func(t *testing.T, c *chain, s *script) {
		if fail(c, s, 10) != 5 {
			t.Fatal("it opens as a sound one")
		}
		time.Sleep(29 * time.Second)
		if pass(c, s, 5) != 0 {
			t.Fatal("it waits as a sound one")
		}
		time.Sleep(2 * time.Second)
		s.answer = always(answer{status: 503, takes: 100 * time.Millisecond})
		before := s.calls()
		for range 20 {
			go c.get()
		}
		time.Sleep(time.Second)
		if got := s.calls() - before; got != 20 {
			t.Errorf("%d of 20 passed while half-open", got)
		}
		if got := pass(c, s, 5); got != 0 {
			t.Errorf("the probe failed, but %d passed", got)
		}
		time.Sleep(31 * time.Second)
		if got := pass(c, s, 5); got != 5 {
			t.Errorf("it closes as a sound one, but %d of 5 passed", got)
		}
	})
}

func TestFlawNeverCloses(t *testing.T) {
	eachBreaker(t, "never-closes", func(t *testing.T, c *chain, s *script) {
		if pass(c, s, 20) != 20 || fail(c, s, 10) != 5 {
			t.Fatal("it opens as a sound one")
		}
		for range 10 {
			time.Sleep(31 * time.Second)
			if got := pass(c, s, 5); got != 1 {
				t.Errorf("%d passed after the wait, want the probe alone", got)
			}
		}
	})
}

func TestFlawTripsOn4xx(t *testing.T) {
	eachBreaker(t, "trips-on-4xx", func(t *testing.T, c *chain, s *script) {
		s.answer = always(answer{status: 404})
		for range 10 {
			c.get()
		}
		if got := s.calls(); got != 5 {
			t.Errorf("%d passed, want 5", got)
		}
	})
}

// hystrix runs by the wall clock: what is asserted holds however slow the
// machine is.
func TestHystrix(t *testing.T) {
	tests := map[string]struct {
		flaw         string
		opens, close bool
	}{
		"sound":        {"", true, true},
		"never-opens":  {"never-opens", false, false},
		"never-closes": {"never-closes", true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &script{answer: always(answer{status: 503})}
			with := map[string]string{"breaker": "hystrix", "failures": "20", "error_percent": "50", "open": "100ms"}
			if test.flaw != "" {
				with["flaw"] = test.flaw
			}
			c := newChain(t, with, s)
			opened := false
			// It counts in the background, so it opens a little later than
			// the twentieth failure.
			for end := time.Now().Add(30 * time.Second); !opened && time.Now().Before(end) && s.calls() < 5000; {
				_, err := c.get()
				opened = rejectedBy(err) == "breaker"
			}
			if opened != test.opens {
				t.Fatalf("opened: %t after %d failures, want %t", opened, s.calls(), test.opens)
			}
			if !opened {
				return
			}
			if s.calls() < 20 {
				t.Errorf("opened after %d attempts, want at least 20", s.calls())
			}
			// From one probe to the next lie at least 100 ms.
			probes := func(n int) {
				// asked is before the library's own timestamp and begun after
				// it, so a pause of this test can only lengthen the gap.
				var asked time.Time
				for seen := 0; seen < n; time.Sleep(time.Millisecond) {
					before, now := s.calls(), time.Now()
					if c.get(); s.calls() == before {
						continue
					}
					if gap := s.begun[before].Sub(asked); seen > 0 && gap < 100*time.Millisecond {
						t.Errorf("probe %s after the one before, want at least 100ms", gap)
					}
					asked = now
					seen++
				}
			}
			probes(3)
			s.answer = nil
			if !test.close {
				probes(3)
				return
			}
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
				if _, err := c.get(); err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal("it does not close")
				}
			}
			if got := pass(c, s, 50); got != 50 {
				t.Errorf("closed, but %d of 50 passed", got)
			}
		})
	}
}

func TestHystrixProbeAndLateResults(t *testing.T) {
	b := newHystrix(&frontendSettings{failures: 1, errorPercent: 50, open: time.Millisecond}, "a")
	late, ok := b.allow()
	if !ok {
		t.Fatal("closed, but it rejects")
	}
	failing, _ := b.allow()
	failing(failed)
	for end := time.Now().Add(30 * time.Second); ; {
		if _, ok := b.allow(); !ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not open")
		}
	}
	late(succeeded)
	if _, isOpen := b.(*hystrixCircuit); !isOpen || !b.(*hystrixCircuit).circuit.IsOpen() {
		t.Error("a success of an attempt begun before it opened closed it")
	}
	var probe func(outcome)
	for end := time.Now().Add(30 * time.Second); probe == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		probe, _ = b.allow()
	}
	if probe == nil || !b.halfOpen() {
		t.Fatal("no probe, or it is not known for one")
	}
	probe(succeeded)
	if b.halfOpen() || b.(*hystrixCircuit).circuit.IsOpen() {
		t.Error("a good probe did not close it")
	}
}
