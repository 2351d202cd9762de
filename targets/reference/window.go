package reference

import "encoding/binary"

const (
	// Bodies are thrown away as they arrive, so windows only have to be wide.
	connectionWindow = 16 << 20
	streamWindow     = 1 << 20
)

func (c *h2c) data(f *frame) error {
	content, err := f.content()
	if err != nil {
		return err
	}
	// Padding counts. What is received is thrown away, so the window is opened
	// again as soon as it is worth a frame.
	if c.received += len(f.payload); c.received > connectionWindow {
		return connectionError{flowControlError, "the window of the connection is exceeded"}
	}
	if c.received >= connectionWindow/2 {
		c.out = appendWindowUpdate(c.room(), 0, c.received)
		c.received = 0
	}
	s, err := c.find(f)
	if err != nil {
		return err
	}
	if s == nil || !s.open {
		c.out = appendReset(c.room(), f.stream, streamClosed)
		return nil
	}
	s.arrived += len(content)
	if s.received += len(f.payload); s.received > streamWindow {
		c.refuse(s, flowControlError)
		return nil
	}
	if f.has(flagEndStream) {
		c.work(s)
	} else if s.received >= streamWindow/2 {
		c.out = appendWindowUpdate(c.room(), s.id, s.received)
		s.received = 0
	}
	return nil
}

func (c *h2c) windowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return missized("WINDOW_UPDATE of %d bytes", len(f.payload))
	}
	by := int(binary.BigEndian.Uint32(f.payload) & maxWindow)
	if f.stream == 0 {
		if by == 0 {
			return violates("WINDOW_UPDATE by 0")
		}
		if c.window += by; c.window > maxWindow {
			return connectionError{flowControlError, "the window of the connection is too large"}
		}
		c.unblock()
		return nil
	}
	s, err := c.find(f)
	if s == nil || err != nil {
		return err
	}
	if by == 0 {
		c.refuse(s, protocolError)
		return nil
	}
	if s.window += by; s.window > maxWindow {
		c.refuse(s, flowControlError)
		return nil
	}
	c.unblock()
	return nil
}

// send sends of an answer's body what the windows allow.
func (c *h2c) send(s *stream) {
	for len(s.rest) > 0 && c.failed == nil {
		n := min(len(s.rest), maxFrame, s.window, c.window)
		if n <= 0 {
			s = c.keep(s)
			c.blocked = append(c.blocked, s)
			return
		}
		s.window -= n
		c.window -= n
		flags := uint8(0)
		if n == len(s.rest) {
			flags = flagEndStream
		}
		c.out = appendFrameHeader(c.room(), n, frameData, flags, s.id)
		c.out = append(c.out, s.rest[:n]...)
		s.rest = s.rest[n:]
	}
	c.forget(s)
}

// unblock sends on, first come first served, after a window has grown.
func (c *h2c) unblock() {
	blocked := c.blocked
	c.blocked = blocked[:0]
	for _, s := range blocked {
		c.send(s) // which appends it again if need be, behind what is being read
	}
	clear(blocked[len(c.blocked):])
}
