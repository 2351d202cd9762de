package wire

// Response is the head of a response. Its slices alias the buffer it was parsed
// from and are valid as long as that is. The zero value is ready to use; use
// the same one for message after message, so that Fields is allocated once.
type Response struct {
	Status int // 100 to 999
	Minor  int // of HTTP/1.Minor
	Fields Fields

	Close   bool // the connection ends with this response
	Upgrade bool // 101: what follows is not HTTP/1.1 any more

	// A Content-Length stands beside a Transfer-Encoding, or chunked is not the last
	// coding: a peer may take the body for another one.
	Doubtful bool

	Body Body // ready to follow the bytes behind the head
}

// Interim reports that this is a 1xx other than 101: the real response is still
// to come, on the same connection, right behind this head.
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// Parse reads a head at the start of buf and returns its length, the blank line
// included. toHEAD says that the request was a HEAD: such a response has no
// body, whatever its fields say; nor have a 1xx, a 204 and a 304. (A 2xx to a
// CONNECT has none either, which its sender has to know.) 0 and no error mean
// that more bytes are needed: call again with the same bytes and those behind
// them. An error wraps ErrMalformed or ErrTooLarge; r is then undefined, and
// where the next message starts cannot be known.
func (r *Response) Parse(buf []byte, toHEAD bool) (n int, err error) {
	*r = Response{Fields: r.Fields[:0]}
	visible := buf[:min(len(buf), MaxHead)]
	// Something that is not HTTP may never send a line end: say so at once.
	const version = "HTTP/1."
	if known := min(len(visible), len(version)); string(visible[:known]) != version[:known] {
		return 0, errStatusLine
	}
	line, next, err := nextLine(visible, 0, true)
	if err != nil {
		return 0, err
	}
	if next > 0 {
		if err := r.parseLine(line); err != nil {
			return 0, err
		}
		var h head
		n, err = h.parse(&r.Fields, visible, next, true)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			if err := r.settle(&h, toHEAD); err != nil {
				return 0, err
			}
			return n, nil
		}
	}
	if len(buf) >= MaxHead {
		return 0, errHeadSize
	}
	return 0, nil
}

func (r *Response) parseLine(line []byte) error {
	const shortest = len("HTTP/1.x 200")
	if len(line) < shortest || line[8] != ' ' || len(line) > shortest && line[shortest] != ' ' || !only(line, inValue) {
		return errStatusLine
	}
	minor, ok := parseUint(line[7:8])
	status, okStatus := parseUint(line[9:12])
	if !ok || !okStatus || status < 100 {
		return errStatusLine
	}
	r.Minor, r.Status = int(minor), int(status)
	return nil
}

// settle draws the conclusions from a complete head.
func (r *Response) settle(h *head, toHEAD bool) error {
	framing, err := h.framing(r.Minor, UntilClose)
	if err != nil {
		return err
	}
	r.Doubtful = h.doubtful()
	if toHEAD || r.Status < 200 || r.Status == 204 || r.Status == 304 {
		framing, r.Doubtful = NoBody, false
	}
	r.Body = newBody(framing, h.length)
	r.Close = h.closes(r.Minor) || framing == UntilClose
	r.Upgrade = r.Status == 101
	return nil
}
