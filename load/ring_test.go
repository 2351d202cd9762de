package load

import "testing"

// What goes in comes out, in order and once; what does not fit is counted.
func TestRingLosesNothingInSilence(t *testing.T) {
	const total = 200_000
	r := NewRing(6)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(total) {
			r.Push(Sample{ID: i + 1, Status: int(i + 1)})
		}
	}()
	var got, last uint64
	var batch []Sample
	drain := func() {
		batch = r.Drain(batch[:0])
		for _, s := range batch {
			if s.ID <= last || s.Status != int(s.ID) {
				t.Fatalf("sample %d with status %d after sample %d", s.ID, s.Status, last)
			}
			last = s.ID
			got++
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		drain()
	}
	drain()
	if lost := r.Lost(); got+lost != total {
		t.Errorf("%d came out and %d were counted as lost, of %d", got, lost, total)
	}
}

func TestRingCountsOverflow(t *testing.T) {
	r := NewRing(2) // 4 slots
	for i := range 7 {
		r.Push(Sample{ID: uint64(i)})
	}
	if got, lost := len(r.Drain(nil)), r.Lost(); got != 4 || lost != 3 {
		t.Errorf("%d kept and %d lost, want 4 and 3", got, lost)
	}
}

func BenchmarkRing(b *testing.B) {
	r := NewRing(10)
	batch := make([]Sample, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r.Push(Sample{ID: 1})
		if r.head.Load()&511 == 0 {
			batch = r.Drain(batch[:0])
		}
	}
}
