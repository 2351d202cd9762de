package load

import (
	"strings"
	"testing"
	"time"
)

const msec = time.Millisecond

// The decision on recorded figures: what must fire, and above all what must not.
func TestCheckup(t *testing.T) {
	// A second of 5,000 requests on a machine of two cores that has nothing else
	// to do.
	quiet := Second{Ended: 5000, Late: 60 * time.Microsecond, HiccupP99: 90 * time.Microsecond, HiccupMax: 2 * msec, Busy: 0.3, Pressure: 0.1, CPU: 0.4, Cores: 2}
	whole := Totals{Due: 50_000, Late: 60 * time.Microsecond}
	for _, tt := range []struct {
		name    string
		seconds int // of the quiet kind besides
		odd     int // and of the other
		change  func(s *Second, w *Totals)
		want    string // in the only problem; "" means well
	}{
		{"quiet", 10, 0, nil, ""},
		{"a quiet second", 1, 0, nil, ""},
		{"the host stalls once for 60 ms, and what was due then is late", 9, 1, func(s *Second, w *Totals) {
			s.Late, s.HiccupP99, s.HiccupMax = 50*msec, 48*msec, 60*msec
		}, ""},
		{"30 arrivals, one of them late as the first connections open", 0, 1, func(s *Second, w *Totals) {
			s.Ended, s.Late, w.Due, w.Late = 30, 9*msec, 30, 9*msec
		}, ""},
		{"a few arrivals in a long hiccup", 0, 1, func(s *Second, w *Totals) {
			s.Ended, s.Late, s.HiccupMax, w.Due, w.Late = 30, 25*msec, 15*msec, 30, 25*msec
		}, ""},
		{"100,000/s to a target on the same two cores", 0, 60, func(s *Second, w *Totals) {
			s.Ended, s.Late, s.Busy, s.Pressure, s.CPU = 100_000, 1900*time.Microsecond, 0.65, 0.95, 1.2
		}, ""},
		{"flat out", 0, 10, func(s *Second, w *Totals) {
			w.Closed, w.Asked, w.Open = true, 64, 64
			s.Busy, s.Pressure, s.CPU = 1, 0.95, 0.9
		}, ""},
		{"one late second of 200", 199, 1, func(s *Second, w *Totals) { s.Late = 30 * msec }, ""},
		{"one second in which nobody had a core, of 200", 199, 1, func(s *Second, w *Totals) { s.Pressure = 1 }, ""},
		{"a connection limit that held a few at the start", 10, 0, func(s *Second, w *Totals) { w.DialLimited = 400 }, ""},
		{"20 ms at the end, of which a thread waited 18", 9, 1, func(s *Second, w *Totals) {
			s.Length, s.Ended, s.Pressure, s.Busy, s.HiccupP99, s.HiccupMax = 20*msec, 10, 0.9, 1, 15*msec, 15*msec
		}, ""},
		{"what cannot be known", 0, 5, func(s *Second, w *Totals) { *s = Second{Pressure: -1} }, ""},

		{"late without a reason", 9, 1, func(s *Second, w *Totals) { s.At, s.Late = 7*time.Second, 3*msec }, "by 3ms (p99) around 7s, where the host's hiccups were 90µs (p99) and at most 2ms"},
		{"late all along, by a little", 10, 0, func(s *Second, w *Totals) { w.Late = 3 * msec }, "3ms late (p99)"},
		{"a few arrivals, very late", 0, 1, func(s *Second, w *Totals) { s.Ended, s.Late, w.Due = 30, 12*msec, 30 }, "sent late in 1 s"},
		{"no time left", 9, 1, func(s *Second, w *Totals) { s.Busy = 0.96 }, "took 96% of a core in 1 s"},
		{"a pause", 9, 1, func(s *Second, w *Totals) { s.Pause = 4 * msec }, "up to 4ms to collect garbage"},
		{"others have the cores", 8, 2, func(s *Second, w *Totals) { s.Pressure = 0.8 }, "cores were taken in 2 s"},
		{"the host stalls in most seconds", 4, 6, func(s *Second, w *Totals) { s.Late, s.HiccupP99, s.HiccupMax = 15*msec, 20*msec, 30*msec }, "kept stalling, in 6 s"},
		{"the harness stands still once, of 200 seconds", 199, 1, func(s *Second, w *Totals) { s.At, s.HiccupMax = 8*time.Second, 3920*msec }, "stood still for 3.92s around 8s"},
		{"a second that took five", 199, 1, func(s *Second, w *Totals) { s.Length = 5 * time.Second }, "stood still for 4s"},
		{"unsent", 10, 0, func(s *Second, w *Totals) { w.Unsent = 3 }, "3 arrivals were due and never sent"},
		{"no descriptors", 10, 0, func(s *Second, w *Totals) { w.Unsent, w.Starved = 3, 3 }, "3 arrivals were never sent, because the host had no descriptor"},
		{"no descriptors, where none may wait", 10, 0, func(s *Second, w *Totals) { w.Starved = 3 }, "raise ulimit -n"},
		{"records lost", 10, 0, func(s *Second, w *Totals) { w.Lost = 1 }, "1 records of requests were lost"},
		{"held back by our own limit", 10, 0, func(s *Second, w *Totals) { w.DialLimited = 500 }, "500 of 50000 arrivals waited because the limit of new connections"},
		{"fewer connections than asked for", 10, 0, func(s *Second, w *Totals) { w.Closed, w.Asked, w.Open = true, 64, 60 }, "only 60 of 64 connections"},
		{"flat out, and Go stops the world", 9, 1, func(s *Second, w *Totals) { w.Closed, s.Pause = true, 4*msec }, "collect garbage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			odd, w := quiet, whole
			if tt.change != nil {
				tt.change(&odd, &w)
			}
			var c Checkup
			for range tt.seconds {
				c.Add(quiet)
			}
			for range tt.odd {
				c.Add(odd)
			}
			got := c.Problems(w)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("it was well, but: %q", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Text, tt.want)):
				t.Errorf("got %q, want %q alone", got, tt.want)
			}
		})
	}
}

// What is sent together on purpose is late on purpose.
func TestCheckupOfBatches(t *testing.T) {
	for batch, want := range map[time.Duration]int{0: 1, 3 * msec: 0, 2 * msec: 1} {
		c := Checkup{Batch: batch}
		c.Add(Second{Ended: 5000, Late: 5 * msec})
		if got := c.Problems(Totals{Due: 5000, Late: 5 * msec}); len(got) != want {
			t.Errorf("batches of %v, 5ms late: %q", batch, got)
		}
	}
}
