package export

import (
	crand "crypto/rand"
	"sync"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

const (
	spansRoom  = 1000 // spans that have ended, and wait
	eventsRoom = 128  // events of a run's span
)

// spans makes a span of a run and one of each fault within it.
type spans struct {
	dropped *dropped

	mu    sync.Mutex
	run   *tracepb.Span         // nil before a run
	fault map[int]*tracepb.Span // those in force, by the number of their fault
	ended []*tracepb.Span
}

func newSpans(counts *dropped) *spans { return &spans{dropped: counts, fault: map[int]*tracepb.Span{}} }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = crand.Read(b) // never fails: it ends the program instead (crypto/rand)
	return b
}

// moment is a time of the run in nanoseconds since 1970.
func moment(s Start, at time.Duration) uint64 { return uint64(s.Started.Add(at).UnixNano()) }

func (p *spans) begin(s Start) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = &tracepb.Span{TraceId: randomBytes(16), SpanId: randomBytes(8), Name: "run " + label(s.Name),
		Kind:              tracepb.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: moment(s, 0), Attributes: keyValues([]string{"stormctl.experiment", s.Name})}
	p.fault = map[int]*tracepb.Span{}
}

func (p *spans) event(s Start, e evidence.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return
	}
	at := moment(s, e.At.Duration())
	switch i := e.Fault - 1; {
	case e.Kind == evidence.KindInject && e.Error == "" && i >= 0 && i < len(s.Faults):
		p.fault[i] = &tracepb.Span{TraceId: p.run.TraceId, ParentSpanId: p.run.SpanId, SpanId: randomBytes(8),
			Name: "fault " + label(s.Faults[i].Name), Kind: tracepb.Span_SPAN_KIND_INTERNAL, StartTimeUnixNano: at,
			Attributes: keyValues([]string{"stormctl.fault", s.Faults[i].Name, "stormctl.on", s.Faults[i].On})}
	case e.Kind == evidence.KindHeal && e.Error == "" && p.fault[i] != nil:
		p.fault[i].EndTimeUnixNano = at
		p.add(p.fault[i])
		delete(p.fault, i)
	case len(p.run.Events) < eventsRoom:
		pairs := []string{"stormctl.text", e.Text}
		if e.Error != "" {
			pairs = append(pairs, "stormctl.error", e.Error)
		}
		p.run.Events = append(p.run.Events, &tracepb.Span_Event{TimeUnixNano: at, Name: label(e.Kind), Attributes: keyValues(pairs)})
	default:
		p.run.DroppedEventsCount++
	}
}

// ruled ends the span of the run, and those of faults that were not healed.
func (p *spans) ruled(s Start, at time.Duration, verdicts []judge.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return
	}
	end := moment(s, max(0, at))
	for i, f := range p.fault {
		f.EndTimeUnixNano = end
		f.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "it was not healed when the run ended"}
		p.add(f)
		delete(p.fault, i)
	}
	p.run.EndTimeUnixNano = end
	worst := judge.Held
	for i, v := range verdicts {
		worst = max(worst, v.Ruling)
		name := v.Name
		if i < len(s.Claims) {
			name = s.Claims[i]
		}
		p.run.Attributes = append(p.run.Attributes, attribute("stormctl.claim."+label(name), v.Ruling.String()))
	}
	if len(verdicts) > 0 {
		p.run.Attributes = append(p.run.Attributes, attribute("stormctl.ruling", worst.String()))
	}
	if worst == judge.Refuted {
		p.run.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "a claim is refuted"}
	}
	p.add(p.run)
	p.run = nil
}

// add keeps a span that has ended until it is pushed. It is called with mu held.
func (p *spans) add(s *tracepb.Span) {
	if len(p.ended) == spansRoom {
		p.dropped.full.Add(1)
		return
	}
	p.ended = append(p.ended, s)
}

// take returns the spans that have ended, to be pushed.
func (p *spans) take() []*tracepb.Span {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.ended
	p.ended = nil
	return taken
}

// putBack keeps those that could not be pushed for the next time.
func (p *spans) putBack(taken []*tracepb.Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := p.ended
	p.ended = taken
	for _, s := range since {
		p.add(s)
	}
}
