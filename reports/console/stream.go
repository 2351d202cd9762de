package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	writeWithin  = 10 * time.Second       // one write: who stops reading is left then
	commentEvery = 15 * time.Second       // so that nobody between us takes it for dead
	notSooner    = 250 * time.Millisecond // than that a stream is written to again
)

// events is the stream of a page: the parts that have changed, and each line of the
// timeline once, with its number as id.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	a, ok := c.who(r)
	if !ok {
		http.Error(w, "enter first", http.StatusUnauthorized)
		return
	}
	done, ok := c.room.stream(a.key)
	if !ok {
		w.Header().Set("Retry-After", "10")
		w.Header().Set("Connection", "close") // connections are bounded, and who acts needs one
		http.Error(w, "too many streams are open: close a window of this page", http.StatusServiceUnavailable)
		return
	}
	defer done()
	wake, leave := c.board.subscribe()
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // of nginx, which would keep it
	s := &stream{c: c, w: w, control: http.NewResponseController(w), sent: map[string]string{}, seen: lastSeen(r)}
	if s.control.SetReadDeadline(time.Time{}) != nil { // that of the request would end it
		return
	}
	s.out.WriteString("retry: 1000\n\n")
	comment := time.NewTicker(commentEvery)
	defer comment.Stop()
	for {
		if !s.update(false) {
			return
		}
		select {
		case <-c.closed:
			if s.update(true) {
				s.message(0, "end", "")
				s.flush()
			}
			return
		case <-r.Context().Done():
			return
		case <-comment.C:
			s.out.WriteString(": still here\n\n")
		case <-wake:
		}
		select {
		case <-time.After(notSooner):
		case <-c.closed:
		case <-r.Context().Done():
			return
		}
	}
}

// lastSeen is the line that a browser has seen last.
func lastSeen(r *http.Request) int {
	id := r.Header.Get("Last-Event-ID")
	id = cmp.Or(id, r.URL.Query().Get("after"))
	n, _ := strconv.Atoi(id) // anything else has seen nothing
	return max(0, n)
}

// stream is what one browser is sent.
type stream struct {
	c       *Console
	w       http.ResponseWriter
	control *http.ResponseController
	out     bytes.Buffer
	sent    map[string]string // parts, as they were sent
	seen    int               // the last line
}

// update sends what is new, and reports whether that could be sent; last is for good.
func (s *stream) update(last bool) bool {
	lines, ok := s.c.board.since(s.seen)
	if !ok {
		s.message(0, "reload", "") // lines are missing that are not kept: the page has what there is
		return s.flush() && false
	}
	for _, l := range lines {
		html, err := render("line", l)
		if err != nil {
			return false
		}
		s.seen = max(s.seen, l.ID)
		s.message(l.ID, "line", html)
	}
	parts, err := s.c.parts(last)
	if err != nil {
		return false
	}
	for _, name := range partNames {
		if html := parts[name]; html != s.sent[name] {
			s.sent[name] = html
			s.message(0, name, html)
		}
	}
	return s.flush()
}

// message adds an event. Its data is JSON: HTML has lines, and an event's data has
// one.
func (s *stream) message(id int, event, html string) {
	if id > 0 {
		fmt.Fprintf(&s.out, "id: %d\n", id)
	}
	data, _ := json.Marshal(html) // a string
	fmt.Fprintf(&s.out, "event: %s\ndata: %s\n\n", event, data)
}

// flush sends what was added.
func (s *stream) flush() bool {
	if s.out.Len() == 0 {
		return true
	}
	defer s.out.Reset()
	if s.control.SetWriteDeadline(time.Now().Add(writeWithin)) != nil {
		return false
	}
	if _, err := s.w.Write(s.out.Bytes()); err != nil {
		return false
	}
	return s.control.Flush() == nil
}
