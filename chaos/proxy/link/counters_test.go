package link

import (
	"sync"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// A peak is of the time since it was last asked for, what is in flight then included.
func TestPeak(t *testing.T) {
	var c Counters
	var all [5]Record
	for i := range all {
		c.Begin(&all[i])
	}
	for i := range all[:4] {
		c.End(&all[i], evidence.Answered)
	}
	for _, want := range []int{5, 1, 1} {
		if got := c.Peak(); got != want {
			t.Errorf("peak %d, want %d", got, want)
		}
	}
	c.End(&all[4], evidence.Answered)
	for _, want := range []int{1, 0} {
		if got := c.Peak(); got != want {
			t.Errorf("after the last: peak %d, want %d", got, want)
		}
	}
}

func TestPeakOfManyAtOnce(t *testing.T) {
	var c Counters
	var begun, ended sync.WaitGroup
	const n = 64
	begun.Add(n)
	for range n {
		ended.Go(func() {
			var x Record
			c.Begin(&x)
			begun.Done()
			begun.Wait() // all are in flight
			c.End(&x, evidence.Answered)
		})
	}
	ended.Wait()
	if got := c.Peak(); got != n {
		t.Errorf("peak %d, want %d", got, n)
	}
}
