package wire

import "bytes"

// Request is the head of a request. Its slices alias the buffer it was parsed
// from and are valid as long as that is. The zero value is ready to use; use
// the same one for message after message, so that Fields is allocated once.
type Request struct {
	Method []byte
	Target []byte // as sent: mostly origin form (/path?query)
	Minor  int    // of HTTP/1.Minor
	Fields Fields

	Close     bool // the connection ends with the answer to this request
	Expect100 bool // the client may wait for a 100 before it sends the body
	Upgrade   bool // a 101 (or, to CONNECT, a 2xx) turns the connection into something else
	Doubtful  bool // it has a Content-Length beside its chunks: a peer may take its body for another one

	Body Body // ready to follow the bytes behind the head
}

// Parse reads a head at the start of buf and returns its length, the blank line
// included. 0 and no error mean that more bytes are needed: call again with the
// same bytes and those behind them. An error wraps ErrMalformed or ErrTooLarge;
// r is then undefined, and where the next message starts cannot be known.
func (r *Request) Parse(buf []byte) (n int, err error) {
	*r = Request{Fields: r.Fields[:0]}
	visible := buf[:min(len(buf), MaxHead)]
	// Something that is not HTTP may never send a line end: say so at once.
	method := 0
	for method < len(visible) && class[visible[method]]&inToken != 0 {
		method++
	}
	if method < len(visible) && (method == 0 || visible[method] != ' ') {
		return 0, errRequestLine
	}
	line, next, err := nextLine(visible, 0, false)
	if err != nil {
		return 0, err
	}
	if next > 0 {
		if err := r.parseLine(line, method); err != nil {
			return 0, err
		}
		var h head
		n, err = h.parse(&r.Fields, visible, next, false)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			if err := r.settle(&h); err != nil {
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

func (r *Request) parseLine(line []byte, method int) (err error) {
	const version = len(" HTTP/1.x")
	target := line[min(method+1, len(line)):]
	if len(target) <= version {
		return errRequestLine
	}
	target, proto := target[:len(target)-version], target[len(target)-version:]
	minor := proto[version-1]
	if string(proto[:version-1]) != " HTTP/1." || minor < '0' || minor > '9' || !only(target, inTarget) {
		return errRequestLine
	}
	r.Method, r.Target, r.Minor = line[:method], target, int(minor-'0')
	return nil
}

// settle draws the conclusions from a complete head.
func (r *Request) settle(h *head) error {
	if h.hosts > 1 {
		return errHosts
	}
	framing, err := h.framing(r.Minor, NoBody)
	if err != nil {
		return err
	}
	r.Body = newBody(framing, h.length)
	r.Close = h.closes(r.Minor)
	r.Doubtful = h.doubtful()
	r.Expect100 = h.expect && r.Minor > 0
	r.Upgrade = h.upgrade && h.switches || string(r.Method) == "CONNECT"
	return nil
}

// Path is the path of the target, without query; of an absolute-form target
// (http://host/path) too. It is a slice of Target, "/" if that has no path.
func (r *Request) Path() []byte {
	path := r.Target
	if len(path) > 0 && path[0] != '/' {
		if i := bytes.Index(path, []byte("://")); i >= 0 {
			path = path[i+len("://"):]
			if i = bytes.IndexAny(path, "/?"); i < 0 || path[i] == '?' {
				return []byte("/")
			}
			path = path[i:]
		}
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	return path
}
