package main

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/reports"
)

// What must not fire is tried on recorded figures (load.TestCheckup): a machine
// that runs tests may be overloaded for real. What must fire is tried here, on
// real overload.

// overloaded is what a load must come to whose harness cannot do it.
func overloaded(t *testing.T, args ...string) {
	t.Helper()
	code, out, _ := loaded(t, func(http.ResponseWriter, *http.Request) {}, append(args, "-q", "--fail-if", "p99>1ns", "--fail-if", "success<0.001%")...) // of half a million, which the race detector makes hard
	if code != exitInconclusive {
		t.Errorf("exit %d, want %d: the latency cannot be told, and enough succeeded", code, exitInconclusive)
	}
	if end, _, _ := strings.Cut(out, "\nINCONCLUSIVE  "); !strings.Contains(end[max(0, len(end)-1500):], "\nHARNESS UNHEALTHY  ") {
		t.Errorf("beside the thresholds nothing is said of it:\n%s", out)
	}
	for _, want := range []string{"INCONCLUSIVE  fails if p99 > ", "passed  fails if success < ", "offer less"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// Eight connections of one loop cannot have half a million a second.
func TestALoadThatIsTooMuchIsToldOf(t *testing.T) {
	overloaded(t, "--rate", "500k/s", "-d", "1s", "--loops", "1", "-c", "8", "--timeout", "500ms")
}

// Where others take all cores, the kernel says so. Where it does not, there is
// nothing to be told by a load that is nearly idle.
func TestALoadOnACrowdedMachineIsToldOf(t *testing.T) {
	if _, err := os.ReadFile("/proc/pressure/cpu"); err != nil {
		t.Skipf("the kernel does not tell of pressure: %v", err)
	}
	for range 3 * runtime.NumCPU() {
		keepBusy(t)
	}
	overloaded(t, "--rate", "200/s", "-d", "2500ms")
}

// The same figures that are well in an open model of one rate are so in every
// other: what the user chose to skip is not the harness's failure.
func TestSkippingIsNoIllness(t *testing.T) {
	for _, tt := range []struct {
		when string
		told bool
	}{{"skip", false}, {"burst=3", false}, {"queue", true}} {
		t.Run(tt.when, func(t *testing.T) {
			t.Parallel()
			block := make(chan struct{})
			code, out, _ := loaded(t, func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-block:
				case <-r.Context().Done():
				}
			}, "--rate", "100/s", "-d", "500ms", "-c", "1", "--timeout", "300ms", "--when-stalled", tt.when, "--json", "-q")
			close(block)
			var l reports.Load
			if err := json.Unmarshal([]byte(out), &l); err != nil {
				t.Fatal(err)
			}
			if code != exitHeld || l.Unsent < 30 || l.Due != 50 {
				t.Errorf("%s: exit %d, %d of %d unsent", tt.when, code, l.Unsent, l.Due)
			}
			if told := strings.Contains(strings.Join(l.Harness.Problems, " "), "never sent"); told != tt.told {
				t.Errorf("%s: problems %q, want of what was not sent: %v", tt.when, l.Harness.Problems, tt.told)
			}
		})
	}
}

// Arrivals that wait for our own limit of new connections make response times
// longer that are none of the system's doing; those that wait for one of a full
// set of connections are.
func TestWaitingForOurOwnLimitIsToldOf(t *testing.T) {
	for _, tt := range []struct {
		args []string
		told bool
	}{{[]string{"--dial-rate", "5/s"}, true}, {[]string{"-c", "5"}, false}, {[]string{"-c", "5", "--dial-rate", "1k/s"}, false}} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			slow := func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) }
			_, out, _ := loaded(t, slow, append(tt.args, "--rate", "200/s", "-d", "600ms", "--json", "-q")...)
			var l reports.Load
			if err := json.Unmarshal([]byte(out), &l); err != nil {
				t.Fatal(err)
			}
			if told := strings.Contains(strings.Join(l.Harness.Problems, " "), "the limit of new connections per second allowed none"); told != tt.told || l.Requests != 120 {
				t.Errorf("%v: %d requests, problems %q, want the limit told of: %v", tt.args, l.Requests, l.Harness.Problems, tt.told)
			}
		})
	}
}
