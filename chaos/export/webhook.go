package export

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

const (
	webhookRoom  = 256 // events that wait
	webhookTries = 3
	webhookWait  = 500 * time.Millisecond // before the second try; twice that before the third
	tryWithin    = 2 * time.Second        // for an answer

	// SignatureHeader has "sha256=" and the HMAC-SHA256 of the body, by the secret, in
	// hexadecimal digits.
	SignatureHeader = "X-Stormctl-Signature-256"

	// flushWithin is how long a receiver has at the end for what it has not got yet.
	flushWithin = 2 * time.Second
)

// Notice is what is sent of an event: the body of one POST, as JSON.
type Notice struct {
	Number  uint64           `json:"number"` // from 1; one that is missing was left out
	Time    time.Time        `json:"time"`
	Run     string           `json:"run"` // name of the experiment
	Started time.Time        `json:"started"`
	At      evidence.Seconds `json:"at_s"`  // since the start of the load
	Event   string           `json:"event"` // begin, ruling, or as in timeline.jsonl: inject, heal, death, note, stop ...

	Text   string `json:"text,omitempty"`
	Fault  string `json:"fault,omitempty"` // of inject and heal
	On     string `json:"on,omitempty"`
	Target string `json:"target,omitempty"` // of death
	Error  string `json:"error,omitempty"`  // of inject and heal: why it did not work

	Ruling string        `json:"ruling,omitempty"` // of ruling: over all claims
	Claims []ClaimNotice `json:"claims,omitempty"` // of ruling
}

// ClaimNotice is what a claim came to.
type ClaimNotice struct {
	Name   string `json:"name"`
	Ruling string `json:"ruling"`
	Reason string `json:"reason"`
}

// webhook sends notices, one after the other, on a goroutine of its own.
type webhook struct {
	url     string
	secret  []byte // nil signs nothing
	client  *http.Client
	dropped *dropped
	now     func() time.Time

	queue chan *Notice
	done  sync.WaitGroup
	ctx   context.Context // of all tries
	stop  context.CancelFunc

	mu     sync.Mutex
	number uint64
	closed bool
}

// Webhook has l post each event to a URL; secret signs them, unless it is empty. It must
// be called before the first Begin. close gives what waits two seconds, and what then
// still waits is left out.
func (l *Live) Webhook(url string, secret []byte) (close func()) {
	w := newWebhook(url, secret, &l.webhook)
	l.sinks = append(l.sinks, w)
	return w.close
}

func newWebhook(url string, secret []byte, counts *dropped) *webhook {
	w := &webhook{url: url, secret: secret, client: newClient(), dropped: counts, now: time.Now, queue: make(chan *Notice, webhookRoom)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.done.Go(w.send)
	return w
}

// newClient is a client that goes nowhere else: a redirect is no receipt.
func newClient() *http.Client {
	return &http.Client{Timeout: tryWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *webhook) begin(s Start) {
	w.put(s, &Notice{Event: "begin"})
}

func (w *webhook) event(s Start, e evidence.Event) {
	n := &Notice{At: e.At, Event: e.Kind, Text: label(e.Text), Target: label(e.Target), Error: label(e.Error)}
	if i := e.Fault - 1; i >= 0 && i < len(s.Faults) {
		n.Fault, n.On = label(s.Faults[i].Name), label(s.Faults[i].On)
	}
	w.put(s, n)
}

func (w *webhook) ruled(s Start, at time.Duration, verdicts []judge.Verdict) {
	n := &Notice{At: evidence.Seconds(max(0, at)), Event: "ruling", Ruling: judge.Inconclusive.String()}
	worst := judge.Held
	for i, v := range verdicts {
		name := v.Name
		if i < len(s.Claims) {
			name = s.Claims[i]
		}
		n.Claims = append(n.Claims, ClaimNotice{label(name), v.Ruling.String(), label(v.Reason)})
		worst = max(worst, v.Ruling)
	}
	if len(verdicts) > 0 {
		n.Ruling = worst.String()
	}
	w.put(s, n)
}

// put queues a notice, if there is room.
func (w *webhook) put(s Start, n *Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	n.Number, n.Time, n.Run, n.Started = w.number, w.now(), label(s.Name), s.Started
	if w.closed {
		w.dropped.full.Add(1)
		return
	}
	select {
	case w.queue <- n:
	default:
		w.dropped.full.Add(1)
	}
}

func (w *webhook) send() {
	for n := range w.queue {
		if !w.deliver(n) {
			w.dropped.failed.Add(1)
		}
	}
}

// deliver tries to send one, and reports whether it was taken.
func (w *webhook) deliver(n *Notice) bool {
	body, err := json.Marshal(n)
	if err != nil {
		return false
	}
	for try := range webhookTries {
		if try > 0 {
			timer := time.NewTimer(webhookWait << (try - 1))
			select {
			case <-timer.C:
			case <-w.ctx.Done():
				timer.Stop()
				return false
			}
		}
		if taken, again := w.try(body); taken || !again {
			return taken
		}
	}
	return false
}

// try sends a body once. again says that another try may do.
func (w *webhook) try(body []byte) (taken, again bool) {
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return false, false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "stormctl")
	if len(w.secret) > 0 {
		mac := hmac.New(sha256.New, w.secret)
		mac.Write(body)
		r.Header.Set(SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	status, err := answered(w.client, r)
	return err == nil && status < 300, err != nil || passing(status)
}

// answered sends a request, and reads as much of the answer as keeps its connection.
func answered(c *http.Client, r *http.Request) (status int, err error) {
	answer, err := c.Do(r)
	if err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // its status has said what there is to know
	return answer.StatusCode, nil
}

// passing reports whether a status may be another one the next time.
func passing(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

func (w *webhook) close() {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	ended := time.AfterFunc(flushWithin, w.stop)
	w.done.Wait()
	ended.Stop()
	w.stop()
	w.client.CloseIdleConnections()
}
