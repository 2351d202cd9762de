package load

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// Step is a request that follows another one, once that has had a right answer:
// outcome OK. It goes to the same host, over the same connection; over HTTP/2, if
// that takes no more requests, over another. Besides the
// placeholders of every request it may have what the response before says:
//
//	${prev.json:$.a.b}    a string, number or bool in a JSON body
//	${prev.header:NAME}   the first header of that name
//	${prev.body~REGEXP}   the first group of the first match, or all of it; no } in it
//
// A path that begins with one, as with ${prev.header:Location}, takes a path or
// a URL, of which only the path counts. A response that lacks what the step
// needs, or has control characters in it, is Wrong, and a longer body than 1 MiB
// too.
//
// # When a step is due
//
// A step falls due at
//
//	min(intended time of the request before + After, now)
//
// where now is when that request was answered. After is the plan's expectation
// of the response time; the actual one of a late predecessor never counts. If it
// did, a stall in the login would make everything behind it due later and hide
// in it, which is coordinated omission again: the intended start of a dependent
// request depends on the intended start and the expected response time of the
// one it depends on (Gil Tene in HdrHistogram/HdrHistogram#148). Service times
// that were measured are no expectation either: the stall is in them. A
// predecessor that was quicker than expected lets the step begin at once, and
// makes it due then, so that nothing is sent before it is due.
//
// With After 0 a step's response time counts from when its chain was due: what
// the caller of the whole chain waited so far.
//
// Each step that falls due is observed, under an ID of its own, which the request
// carries too (wire.SeqOf), and with its number in Sample.Step. So a count of
// requests by their ids takes no step for a repetition of another. It is Unsent if
// over HTTP/1.1 the connection ended with the response before, or the run was
// stopped; Plan.ConnRequests and ConnLifetime do not end
// it within a chain. Steps behind an answer that is not OK never fall due and are
// not observed.
type Step struct {
	After   time.Duration // expected response time of the request before; 0 counts from that one's intended time
	Method  string        // this and the others as in Route
	Path    string
	Headers [][2]string
	Body    []byte
	Checks  []Check
	Writes  bool
	Reads   string
	Timeout time.Duration
}

// prepareSteps makes the steps that follow w ready.
func (g *program) prepareSteps(w *preparedRequest, r Route) error {
	if len(r.Then) > wire.MaxStep {
		return fmt.Errorf("%d steps: there can be %d", len(r.Then), wire.MaxStep)
	}
	for i, s := range r.Then {
		if s.After < 0 {
			return fmt.Errorf("step %d: %v is before the request it follows", i+1, s.After)
		}
		r.Method, r.Path, r.Headers, r.Body, r.Checks, r.Timeout = s.Method, s.Path, s.Headers, s.Body, s.Checks, s.Timeout
		r.Writes, r.Reads = s.Writes, s.Reads
		next, err := g.prepareRequest(r, w.extract)
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		next.step, next.after, next.endpoint = i+1, s.After, w.endpoint
		w.next = &next
		w = w.next
	}
	return nil
}

// extract adds something to extract from the responses to w, and returns its
// index.
func (w *preparedRequest) extract(what string) (int, error) {
	t, err := parseExtraction(what)
	if err != nil {
		return 0, err
	}
	if w.checks == nil {
		w.checks = &checks{}
	}
	w.checks.extractions = append(w.checks.extractions, t)
	w.checks.extractsBody = w.checks.extractsBody || t.find != nil
	w.checks.fields = w.checks.fields || t.name != nil
	return len(w.checks.extractions) - 1, nil
}

// extraction is a value to be taken from a response: from a header, or by find from
// the body. The part that has nothing for it gives "".
type extraction struct {
	name []byte // of the header
	find func(body []byte) (string, bool)
}

// CheckPrev returns what is wrong with a ${prev.WHAT}.
func CheckPrev(what string) error {
	_, err := parseExtraction(what)
	return err
}

func parseExtraction(what string) (extraction, error) {
	if name, ok := strings.CutPrefix(what, "header:"); ok && wire.IsToken(name) {
		return extraction{name: []byte(name)}, nil
	}
	if text, ok := strings.CutPrefix(what, "json:"); ok {
		path, err := parseJSONPath(text)
		if err != nil {
			return extraction{}, err
		}
		return extraction{find: Find{path: path}.One}, nil
	}
	if text, ok := strings.CutPrefix(what, "body~"); ok && text != "" {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return extraction{}, err
		}
		return extraction{find: Find{pattern: pattern}.One}, nil
	}
	return extraction{}, fmt.Errorf("write prev.json:$.token, prev.header:Location or prev.body~REGEXP")
}

func (t *extraction) header(fields wire.Fields) (string, bool) {
	if t.name == nil {
		return "", true
	}
	for _, f := range fields {
		if bytes.EqualFold(f.Name, t.name) {
			return string(f.Value), true
		}
	}
	return "", false
}

func (t *extraction) body(body []byte) (string, bool) {
	if t.find == nil {
		return "", true
	}
	return t.find(body)
}

// due is when a step falls due that follows a request which was meant to be sent
// at intended and is answered now.
func (w *preparedRequest) due(intended, now time.Duration) time.Duration {
	return min(intended+w.after, now)
}

// sendStep sends the step that follows, and reports whether it went out on c.
// Over HTTP/2 another connection may have room for it.
func (l *loop) sendStep(c *conn, a arrival, w *preparedRequest, extracted []string) bool {
	now := l.clock.now()
	a.intended, a.late, a.resend = w.due(a.intended, now), 0, nil
	l.unfinished++
	if c.retired || c.peerDone || c.codec.room(c) <= 0 || l.halted.Load() {
		a.resend = &resend{prepared: w, extracted: extracted}
		if w.streamTemplate != nil {
			l.requeue(c.pool, a, now)
		} else {
			l.unsent(a, now, false)
		}
		return false
	}
	e := l.beginRequest(c, a, w, extracted, now)
	if c.codec.room(c) <= 0 {
		c.pool.withdraw(c)
	}
	if !c.codec.send(l, e) {
		l.broken(c)
	}
	return true
}
