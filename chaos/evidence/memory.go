package evidence

import (
	"bytes"
	"slices"
	"sync"

	"github.com/stormctl/stormctl/load"
)

// Memory is told what is recorded as it is, so that a run in which nothing was
// injected yet can be judged without reading it back, which takes seconds where
// there is much. It keeps what a steady state is judged by: all events and
// samples, and of each link how far its exchanges reach. It may be used by many
// goroutines.
type Memory struct {
	mu     sync.Mutex
	run    *Run // nil once it is taken, or there is too much
	most   int
	reader sampleReader // of its routes
}

// NewMemory keeps up to most samples; about as many are expected.
func NewMemory(expected, most int) *Memory {
	run := newRun()
	run.Samples = make([]load.Sample, 0, min(expected, most))
	return &Memory{run: run, most: most}
}

// Event keeps an event of the timeline.
func (m *Memory) Event(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != nil {
		m.run.add(e)
		m.reader.index = indexOf(m.run.Routes)
	}
}

// samples keeps n samples from their lines, which follow each other in two parts.
func (m *Memory) samples(n int, first, second []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return
	}
	if len(m.run.Samples)+n > m.most {
		m.run = nil
		return
	}
	for lines := append(slices.Clip(first), second...); len(lines) > 0; {
		line, rest, _ := bytes.Cut(lines, newline)
		lines = rest
		var s load.Sample
		if err := m.reader.read(&s, line, sampleColumns); err != nil { // then disk cannot be read either, and says so
			m.run = nil
			return
		}
		m.run.Samples = append(m.run.Samples, s)
	}
}

// Exchanges keeps of the exchanges of a link the one that began last, and the
// one that ended last.
func (m *Memory) Exchanges(link string, exchanges []Exchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil || m.run.Links[link] == nil {
		return
	}
	l := m.run.Links[link]
	for _, x := range exchanges {
		if l.Exchanges == nil {
			l.Exchanges = []Exchange{x, x}
		}
		if x.Begin > l.Exchanges[0].Begin {
			l.Exchanges[0] = x
		}
		if x.End > l.Exchanges[1].End {
			l.Exchanges[1] = x
		}
	}
}

// Take returns the run as Read would, but for the exchanges, and keeps nothing
// any more. It is nil if there was too much to keep, or it was taken before.
func (m *Memory) Take() *Run {
	m.mu.Lock()
	run := m.run
	m.run = nil
	m.mu.Unlock()
	if run == nil {
		return nil
	}
	run.order()
	for _, l := range run.Links {
		l.order()
	}
	run.settleEnd()
	return run
}
