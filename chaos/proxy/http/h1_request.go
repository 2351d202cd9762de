package http

import (
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// requestEdit is what is done to a request while it is passed on.
type requestEdit struct {
	corrupts, copies bool

	head  int       // bytes of the head that are still to come
	body  wire.Body // follows the body behind the scan: where payload is
	at    int64     // bytes of payload that have come
	noise noise
	copy  []byte // of the request so far, as it is passed on
}

// maxCopy bounds a request that is delivered twice; a longer one is delivered
// once.
const maxCopy = 4 << 20

// beginEdit notes what the fate wants done to the request, which is about to
// be passed on. c.mu is locked.
func (c *h1Conn) beginEdit() {
	f := c.x.fate
	c.edited = 0
	c.edit = requestEdit{
		corrupts: !c.unread.Load() && f.CorruptsRequest(),
		copies:   !c.unread.Load() && f.Duplicates() && !c.x.toCONNECT && !c.req.Upgrade,
		head:     c.headSize, body: c.framing, copy: c.edit.copy[:0],
	}
}

// editNext does it to what is about to be passed on: bytes up to c.out that it
// has not been done to yet. It reports whether all of the request has come, and
// it is to be delivered twice.
func (c *h1Conn) editNext() (twice bool) {
	t := &c.edit
	fresh := c.in.pending()[c.edited:c.out]
	c.edited = c.out
	if t.corrupts {
		c.corrupt(fresh)
	}
	if !t.copies || len(fresh) == 0 {
		return false
	}
	if len(t.copy)+len(fresh) > maxCopy {
		t.copies, t.copy = false, nil
		return false
	}
	t.copy = append(t.copy, fresh...)
	if !c.req.Body.Done() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.x.open || !c.x.fate.Duplicates() {
		return false
	}
	c.recordHits(toxic.Fate.Duplicates)
	return true
}

// corrupt changes bytes of payload among those that are passed on next. The
// record keeps the hash of what the caller sent.
func (c *h1Conn) corrupt(fresh []byte) {
	c.mu.Lock()
	f := c.x.fate
	c.mu.Unlock()
	t, changed := &c.edit, false
	skip := min(t.head, len(fresh))
	t.head -= skip
	for fresh = fresh[skip:]; len(fresh) > 0; {
		n, payload, err := t.body.Span(fresh)
		if n == 0 || err != nil {
			break
		}
		if payload {
			changed = t.noise.on(f.CorruptRequest, t.at, fresh[:n]) || changed
			t.at += int64(n)
		}
		fresh = fresh[n:]
	}
	if !changed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.x.open {
		c.recordHits(toxic.Fate.CorruptsRequest)
	}
}
