// Package watch watches over a running load: it closes the load's seconds and
// measures the harness meanwhile. What becomes of a second is its user's.
//
//	loop ─▶ Warm, Tally ─┐
//	loops' Stats ────────┼─ every second, and at the end ─▶ Second
//	the host's Meter ────┘
//
// The clock is at 0 where the warm-up ends, and no second reaches across: the
// warm-up's last one ends there, when that is.
package watch

import (
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/meter"
)

// FlushEvery is how often Config.Flush is called, and how late a second may be closed.
const FlushEvery = 100 * time.Millisecond

// Config is what to watch.
type Config struct {
	Rows   int           // of both tallies: kinds of request that are told apart
	Shards int           // of both tallies: event loops
	Warmup time.Duration // 0 is none
	From   time.Duration // where the clock is at the beginning of a load that goes on, which has no warm-up; 0 otherwise

	// Flush writes down what the event loops have handed over, every FlushEvery, and of a
	// process that is idle at the end of each second; nil does nothing.
	Flush func()

	// Second is called at the end of every second, those of the warm-up included,
	// from one goroutine at a time and never beside Flush; nil is not called.
	Second func(Second)
}

// Watch is one load that is watched. Samples are observed by its tallies, best
// by load.SplitWarmup, on the event loops: neither allocates or locks.
type Watch struct {
	Tally *load.Tally // of what is measured
	Warm  *load.Tally // of the warm-up; nil without one

	config Config
	start  time.Time
	stats  *load.Stats
	meter  *meter.Meter
	syncs  chan chan struct{}
	quit   chan struct{}
	done   chan struct{}
	idle   bool

	at     time.Duration // when the last second ended
	loops  load.Reading  // then
	zero   load.Reading  // when the clock was at 0
	cpu    time.Duration // that the process had used then
	closed bool          // by Stop
}

// New returns a watch whose tallies can be observed into at once.
func New(c Config) *Watch {
	w := &Watch{config: c, Tally: load.NewTally(c.Rows, c.Shards), at: c.From - c.Warmup,
		syncs: make(chan chan struct{}), quit: make(chan struct{}), done: make(chan struct{})}
	if c.Warmup > 0 {
		w.Warm = load.NewTally(c.Rows, c.Shards)
	}
	return w
}

// Begin begins to watch. The clock is at 0 at start, a warm-up after the load
// begins; stats are the load's, and nap is the meter's. A process that sends and relays
// nothing itself, and naps longer than meter.Often, is idle.
func (w *Watch) Begin(start time.Time, stats *load.Stats, nap time.Duration) {
	w.idle = nap > meter.Often
	w.begin(start, stats, meter.Start(nap))
}

// begin is Begin with a meter of the host that was started before.
func (w *Watch) begin(start time.Time, stats *load.Stats, m *meter.Meter) {
	w.start, w.stats, w.meter, w.cpu = start, stats, m, meter.CPUTime()
	go w.loop()
}

func (w *Watch) loop() {
	defer close(w.done)
	flush := time.NewTicker(FlushEvery)
	defer flush.Stop()
	warm := time.NewTimer(time.Until(w.start)) // to the point: what is used and opened from then on counts
	defer warm.Stop()
	due := w.at + time.Second
	for {
		if w.idle {
			flush.Reset(max(time.Until(w.start.Add(due)), time.Nanosecond))
		}
		select {
		case <-flush.C:
			w.flush()
			now := time.Since(w.start)
			if now < due || w.at < 0 && now >= 0 { // the latter is warm's turn
				continue
			}
			w.close(now)
		case <-warm.C:
			if w.at < 0 {
				w.close(0)
			}
		case synced := <-w.syncs:
			w.flush()
			close(synced)
			continue
		case <-w.quit:
			return
		}
		due = load.NextSecond(w.at)
	}
}

func (w *Watch) flush() {
	if w.config.Flush != nil {
		w.config.Flush()
	}
}

// close ends a second at now.
func (w *Watch) close(now time.Duration) {
	tally := w.Tally
	if w.at < 0 {
		tally = w.Warm
	}
	counts, host, loops := tally.Delta(), w.meter.Read(), w.stats.Read()
	s := Second{From: w.at, At: now, Counts: counts, Host: host, Loops: loops.Since(w.loops)}
	if w.at < 0 && now == 0 {
		w.zero, w.cpu = loops, meter.CPUTime()
	}
	w.at, w.loops = now, loops
	if w.config.Second != nil {
		w.config.Second(s)
	}
}

// Sync returns when what was observed before is flushed, after Begin.
func (w *Watch) Sync() {
	synced := make(chan struct{})
	select {
	case w.syncs <- synced:
		<-synced
	case <-w.done:
	}
}

// Stop ends the watch in the background. The second that has begun stays open
// until Rest, and the host is measured until Close.
func (w *Watch) Stop() {
	if !w.closed {
		w.closed = true
		close(w.quit)
	}
	<-w.done
}

// Rest closes, after Stop, what there is of a last second that ended at now. A
// second that was closed since now has it all.
func (w *Watch) Rest(now time.Duration) {
	if w.at < 0 {
		w.close(min(now, 0))
	}
	if now > w.at {
		w.close(now)
	}
}

// Close stops, and ends all measuring. It must be called once after Begin.
func (w *Watch) Close() {
	w.Stop()
	w.meter.Stop()
}

// Loops is what the event loops have counted since the clock was at 0, or since
// their start if it never was, after Stop.
func (w *Watch) Loops() load.Reading { return w.stats.Read().Since(w.zero) }

// CPU is the CPU time that the process had used when the clock was at 0, or at
// Begin if it never was, after Stop.
func (w *Watch) CPU() time.Duration { return w.cpu }

// WarmedUp is all that the warm-up has come to until now; nil without one. It
// may be called in Second and after Stop. What came since the last second is then
// missing from the next second of the warm-up.
func (w *Watch) WarmedUp() *load.Counts {
	if w.Warm == nil {
		return nil
	}
	w.Warm.Delta()
	return w.Warm.Total()
}
