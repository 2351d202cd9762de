package series

import (
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Of more windows than there may be, those with a proof in them stay, then the
// earliest, and all are in the order of time.
func TestWindowsOfManyFaults(t *testing.T) {
	var faults []evidence.Injection
	for i := range 60 {
		at := time.Duration(i+1) * 1000 * time.Second
		faults = append(faults, fault(i, "bank", at, at+time.Second))
	}
	proofs := []time.Duration{55050 * time.Second, 59990 * time.Second, 58500 * time.Second} // the last is near no fault
	got := windows(faults, proofs, 61000*time.Second)
	if len(got) != MaxWindows {
		t.Fatalf("%d windows", len(got))
	}
	for i, w := range got {
		want := i
		switch i {
		case 38:
			want = 54
		case 39:
			want = 59
		}
		if w.fault != want {
			t.Errorf("window %d is of fault %d, want %d", i, w.fault, want)
		}
	}
}

func TestWindowsAreApart(t *testing.T) {
	at := 500 * time.Second
	got := windows([]evidence.Injection{
		fault(0, "a", at, at+20*time.Second), fault(1, "b", at, at+10*time.Second), // within the first
		fault(2, "c", at+40*time.Second, at+41*time.Second), // overlaps it
		fault(3, "d", 2000*time.Second, -1),                 // begins behind the end
	}, nil, 1000*time.Second)
	want := []stretch{{0, 470 * time.Second, 580 * time.Second}, {2, 510 * time.Second, 601 * time.Second}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestPhaseOf(t *testing.T) {
	const s = time.Second
	two := []evidence.Injection{fault(0, "a", 10*s+s/2, 12*s), fault(1, "a", 20*s, 25*s), fault(2, "a", -1, -1)}
	unhealed := []evidence.Injection{fault(0, "a", 10*s, -1)}
	instant := []evidence.Injection{fault(0, "a", 10*s+s/2, 10*s+s/2)}
	for _, row := range []struct {
		faults []evidence.Injection
		from   time.Duration
		want   phase
	}{
		{nil, 0, wholeRun}, {two[2:], 5 * s, wholeRun},
		{two, 0, beforeFaults}, {two, 9 * s, beforeFaults}, {two, 10 * s, duringFaults}, {two, 11 * s, duringFaults},
		{two, 12 * s, betweenFaults}, {two, 19 * s, betweenFaults}, {two, 20 * s, duringFaults}, {two, 25 * s, afterFaults},
		{unhealed, 9 * s, beforeFaults}, {unhealed, 100 * s, duringFaults},
		{instant, 9 * s, beforeFaults}, {instant, 10 * s, duringFaults}, {instant, 11 * s, afterFaults},
	} {
		if got := phaseOf(row.faults, row.from, row.from+s); got != row.want {
			t.Errorf("%d faults, second from %v: %s, want %s", len(row.faults), row.from, phaseNames[got], phaseNames[row.want])
		}
	}
}
