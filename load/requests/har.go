package requests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stormctl/stormctl/load/wire"
)

// unrecorded are headers of a recording that are not sent again: those of its
// connection, of how its body was sent, and ids that must be our own. Host comes
// from the URL. Accept-Encoding would have us receive what we cannot read.
var unrecorded = append([]string{
	"Host", "Connection", "Proxy-Connection", "Keep-Alive", "Upgrade", "TE", "Expect", "HTTP2-Settings",
	"Accept-Encoding", wire.DefaultIDHeader, "traceparent", "tracestate",
}, framing...)

// har is the part of HAR 1.2 that is about requests
// (http://www.softwareishard.com/blog/har-12-spec/).
type har struct {
	Log *struct {
		Entries []struct {
			Request *harRequest `json:"request"`
		} `json:"entries"`
	} `json:"log"`
}

type harRequest struct {
	Method   string     `json:"method"`
	URL      string     `json:"url"`
	Headers  []harField `json:"headers"`
	Cookies  []harField `json:"cookies"`
	PostData *harPost   `json:"postData"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Skipped are entries of a recording that are not sent, for one reason.
type Skipped struct {
	Reason  string // like "it is no HTTP request"
	Entries int    // how many there are
	First   int    // the first of them, from 1
}

// The reasons that many entries may share. What else keeps one from being sent
// is told as it is.
const (
	skipIncomplete = "its request has no method or no URL"
	skipOther      = "it is no HTTP request"
)

// ReadHAR reads the requests of a HAR 1.2 recording in the order in which each
// came first. Equal ones are one, and Weight counts them. Nothing in a recording
// is a placeholder: a ${ in it stays one. Entries that cannot be sent (WebSockets,
// data: URLs, tunnels, fields that HTTP does not allow, uploads whose content was
// not recorded) are in skipped, by reason, in the order of the first of each. If
// nothing is left it is an error.
//
// Cookies are sent as they were recorded. Headers that belong to the recorded
// connection or to its body's transfer are left out, so are HTTP/2's pseudo
// headers and ids of tracing.
func ReadHAR(r io.Reader) (list []Request, skipped []Skipped, err error) {
	var file har
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, nil, fmt.Errorf("not a HAR file: %w", err)
	}
	if file.Log == nil {
		return nil, nil, errors.New("not a HAR file: it has no log")
	}
	seen, reasons := map[string]int{}, map[string]int{}
	for i, entry := range file.Log.Entries {
		q, err := entry.Request.sendable()
		if err != nil {
			at, again := reasons[err.Error()]
			if !again {
				at = len(skipped)
				reasons[err.Error()], skipped = at, append(skipped, Skipped{err.Error(), 0, i + 1})
			}
			skipped[at].Entries++
			continue
		}
		key := fmt.Sprintf("%q", []any{q.Method, q.Scheme, q.Host, q.Path, q.Headers, q.Body})
		if at, again := seen[key]; again {
			list[at].Weight++
			continue
		}
		seen[key] = len(list)
		list = append(list, q)
	}
	switch {
	case len(list) > 0:
		return list, skipped, nil
	case len(skipped) == 0:
		return nil, nil, errors.New("there are no requests in it")
	}
	return nil, skipped, fmt.Errorf("no request in it can be sent: %s", skipped[0])
}

func (s Skipped) String() string {
	if s.Entries == 1 {
		return fmt.Sprintf("entry %d: %s", s.First, s.Reason)
	}
	return fmt.Sprintf("%d entries, the first is entry %d: %s", s.Entries, s.First, s.Reason)
}

// sendable is the request as it is sent; the error says why it cannot be.
func (h *harRequest) sendable() (Request, error) {
	switch {
	case h == nil || h.Method == "" || h.URL == "":
		return Request{}, errors.New(skipIncomplete)
	case !h.isHTTP():
		return Request{}, errors.New(skipOther)
	}
	q, err := h.request()
	if err == nil {
		_, err = wire.Encode(q.Method, q.Path, q.Host, q.Headers, q.Body, "", wire.Fill{})
	}
	return q, err
}

func (h *harRequest) isHTTP() bool {
	scheme, _, _ := strings.Cut(strings.ToLower(h.URL), ":")
	return (scheme == "http" || scheme == "https") && h.Method != "CONNECT"
}

func (h *harRequest) request() (Request, error) {
	q, err := New(h.Method, encodeRaw(h.URL))
	if err != nil {
		return Request{}, err
	}
	q.Path = wire.Literal(q.Path)
	h.headers(&q)
	if h.PostData == nil {
		return q, nil
	}
	recorded := h.contentType()
	content, mimeType, err := h.PostData.body(recorded)
	if err != nil {
		return Request{}, fmt.Errorf("body: %w", err)
	}
	if mimeType != recorded {
		q.setContentType(wire.Literal(mimeType))
	}
	q.Body = []byte(wire.Literal(content))
	return q, nil
}

// encodeRaw percent-encodes what a recorder should have.
func encodeRaw(url string) string {
	var b strings.Builder
	for i := range len(url) {
		if c := url[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// headers are those that are sent again. HTTP/2 may split Cookie in several
// fields, of which HTTP/1.1 allows one only (RFC 9113 section 8.2.3).
func (h *harRequest) headers(q *Request) {
	cookie := -1
	for _, f := range h.Headers {
		if strings.HasPrefix(f.Name, ":") || isOneOf(f.Name, unrecorded) {
			continue
		}
		value := wire.Literal(f.Value)
		if strings.EqualFold(f.Name, "Cookie") {
			if cookie >= 0 {
				q.Headers[cookie][1] += "; " + value
				continue
			}
			cookie = len(q.Headers)
		}
		q.Headers = append(q.Headers, [2]string{f.Name, value})
	}
	if cookie < 0 && len(h.Cookies) > 0 {
		pairs := make([]string, len(h.Cookies))
		for i, c := range h.Cookies {
			pairs[i] = wire.Literal(c.Name + "=" + c.Value)
		}
		q.Headers = append(q.Headers, [2]string{"Cookie", strings.Join(pairs, "; ")})
	}
}
