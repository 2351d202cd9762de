package meter

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/load/poll"
)

// Meter measures what the host does to this process while a load runs: a
// thread that does nothing but sleep notes how late it wakes up (the idea of
// jHiccup, Gil Tene 2012). Send lag beyond that is the harness's own.
//
// The thread does not pass through the Go scheduler when it wakes: told of its
// sleeps, the scheduler's monitor would look for something to do 10,000 times a
// second, which took more of a core than the meter and the load's own loops
// spend on a tenth of their requests. Pauses of the runtime are not hiccups.
//
// That is so at Often, where it costs 1 to 3% of a core. Who sleeps longer is a goroutine: a
// thread that keeps its P keeps the monitor awake too, which finds it running for too long
// each time, and has it give way. All methods may be called at once.
type Meter struct {
	nap  time.Duration // how long the thread sleeps each time
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex // guards what follows
	late  lateness
	since time.Time
	cpu   time.Duration // of the process, at since
	steal time.Duration // of the machine, at since; < 0 if unknown
	stall time.Duration // of the machine, at since; < 0 if unknown
	woken atomic.Int64  // when the thread woke last, in nanoseconds after started
	begun time.Time
	pause *pauses
}

// Hiccup is what a Meter saw in one interval.
type Hiccup struct {
	P99   time.Duration // a thread that wants to wake up at some time is, 99 times of 100, late by at most this much
	Max   time.Duration // the latest wake-up, one that is still overdue included
	Pause time.Duration // the longest of Go's runtime to collect garbage, which is no hiccup; 0 if there was none
	CPU   float64       // cores used by this process
	Steal float64       // cores the hypervisor gave to others; -1 if the system does not say

	// Pressure is the part of the time, 0 to 1, in which some thread of the
	// machine waited for a core; -1 if the system does not say. A sleeper is
	// favoured by the scheduler when it wakes, so that it may see none of it
	// while a chain of services does.
	Pressure float64

	// Runnable is how many threads of the machine had a core or waited for one when
	// this was read; -1 if the system does not say. How long a thread waits for its
	// turn is about this many for each core, where they all have much to do.
	Runnable int
}

// How long the thread sleeps each time. A stall that is shorter may pass unseen.
const (
	Often  = time.Millisecond      // beside loops and relays, whose times are measured
	Seldom = 10 * time.Millisecond // of a process that sends and relays nothing itself, but breaks and asks things at some time
	Rarely = 50 * time.Millisecond // of one that only collects what others measure
)

// Start begins to measure by a thread that sleeps for nap each time; the first interval
// begins now.
func Start(nap time.Duration) *Meter {
	now := time.Now()
	m := &Meter{
		nap: nap, late: lateness{nap: nap}, stop: make(chan struct{}), done: make(chan struct{}), since: now, begun: now,
		cpu: CPUTime(), steal: stealTime(), stall: stallTime(), pause: startPauses(),
	}
	if nap > Often {
		go m.runSeldom()
	} else {
		go m.run()
	}
	return m
}

// Stop ends the measurement and waits until it has ended. It must be called
// once; Read still works afterwards.
func (m *Meter) Stop() {
	close(m.stop)
	<-m.done
}

// Read returns what was measured since the last Read, or since the start, and
// begins a new interval.
func (m *Meter) Read() Hiccup {
	cpu, steal, stall, now := CPUTime(), stealTime(), stallTime(), time.Now()

	m.mu.Lock()
	defer m.mu.Unlock()
	h := Hiccup{P99: m.late.quantile(0.99), Max: m.late.max, Pause: m.pause.longest(), Steal: -1, Pressure: -1, Runnable: runnable()}
	select {
	case <-m.done:
	default:
		// A thread that has not woken yet is at least this late.
		h.Max = max(h.Max, now.Sub(m.begun)-time.Duration(m.woken.Load())-m.nap)
	}
	if span := now.Sub(m.since).Seconds(); span > 0 {
		h.CPU = (cpu - m.cpu).Seconds() / span
		if steal >= 0 && m.steal >= 0 {
			h.Steal = max(0, (steal-m.steal).Seconds()/span)
		}
		if stall >= 0 && m.stall >= 0 {
			h.Pressure = min(1, max(0, (stall-m.stall).Seconds()/span))
		}
	}
	m.late = lateness{nap: m.nap}
	m.since, m.cpu, m.steal, m.stall = now, cpu, steal, stall
	return h
}

func (m *Meter) run() {
	runtime.LockOSThread() // for good: the thread has a timer slack of its own and ends with the goroutine
	defer poll.Spare(1)()
	defer close(m.done)
	poll.MinimizeTimerSlack()
	at := time.Now()
	for {
		select {
		case <-m.stop:
			return
		default:
		}
		poll.Sleep(m.nap)
		woke := time.Now()
		m.note(woke, woke.Sub(at)-m.nap)
		at = woke
	}
}

// runSeldom is run for a longer nap, by a timer of Go.
func (m *Meter) runSeldom() {
	defer close(m.done)
	nap := time.NewTicker(m.nap)
	defer nap.Stop()
	at := time.Now()
	for {
		select {
		case <-m.stop:
			return
		case <-nap.C:
		}
		woke := time.Now()
		m.note(woke, woke.Sub(at)-m.nap)
		at = woke
	}
}

// note takes a wake-up into account that was late by so much.
func (m *Meter) note(woke time.Time, late time.Duration) {
	m.mu.Lock()
	m.late.stall(late)
	m.mu.Unlock()
	m.woken.Store(int64(woke.Sub(m.begun)))
}

// lateness counts durations in buckets of 1/16 of their magnitude, so a
// quantile is at most 6.25% too high. It is small and of a fixed size; the
// histograms of the load itself are in load/hist.
type lateness struct {
	nap   time.Duration // of who notes
	count [64 * 16]uint32
	total uint64
	max   time.Duration
}

// stall adds a wake-up that was late by d, and those that would have been late
// in the meantime: a thread that sleeps through a stall of 50 ms notes it once,
// where one that wanted to wake up every nap would have been late 50 times. Like
// callers, the meter must not omit them because it stood still itself.
func (l *lateness) stall(d time.Duration) {
	l.add(d)
	for d = min(d, time.Hour) - l.nap; d > 0; d -= l.nap {
		l.add(d)
	}
}

func (l *lateness) add(d time.Duration) {
	d = max(0, d)
	l.count[bucket(uint64(d))]++
	l.total++
	l.max = max(l.max, d)
}

// bucket is the index of v: values below 16 have their own, above that the four
// bits that follow the leading one tell 16 buckets per power of two apart.
func bucket(v uint64) int {
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return 16*(shift+1) + int(v>>shift)&15
}

// upper is the highest value in bucket i.
func upper(i int) uint64 {
	if i < 16 {
		return uint64(i)
	}
	shift := i/16 - 1
	return (uint64(16+i%16)+1)<<shift - 1
}

// quantile returns a value that a share q of all durations do not exceed; 0
// if there are none.
func (l *lateness) quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.total))
	seen := uint64(0)
	for i, n := range l.count {
		seen += uint64(n)
		if seen > rank {
			return min(time.Duration(upper(i)), l.max)
		}
	}
	return l.max
}
