package requests

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
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
	PostData *struct {
		MimeType string     `json:"mimeType"`
		Text     *string    `json:"text"`
		Encoding string     `json:"encoding"` // not in the standard, but written: base64
		Params   []harField `json:"params"`
	} `json:"postData"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ReadHAR reads the requests of a HAR 1.2 recording in the order in which each
// came first. Equal ones are one, and Weight counts them. Nothing in a recording
// is a placeholder: a ${ in it stays one.
//
// Cookies are sent as they were recorded. Headers that belong to the recorded
// connection or to its body's transfer are left out, so are HTTP/2's pseudo
// headers and ids of tracing. skipped counts the entries that are no HTTP
// requests: WebSockets, data: URLs, tunnels.
func ReadHAR(r io.Reader) (list []Request, skipped int, err error) {
	var file har
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, 0, fmt.Errorf("not a HAR file: %w", err)
	}
	if file.Log == nil {
		return nil, 0, errors.New("not a HAR file: it has no log")
	}
	seen := map[string]int{}
	for i, entry := range file.Log.Entries {
		recorded := entry.Request
		if recorded == nil || recorded.Method == "" || recorded.URL == "" {
			return nil, 0, fmt.Errorf("entry %d: its request has no method or no URL", i+1)
		}
		if !recorded.isHTTP() {
			skipped++
			continue
		}
		q, err := recorded.request()
		if err != nil {
			return nil, 0, fmt.Errorf("entry %d: %w", i+1, err)
		}
		key := fmt.Sprintf("%q", []any{q.Method, q.Scheme, q.Host, q.Path, q.Headers, q.Body})
		if at, again := seen[key]; again {
			list[at].Weight++
			continue
		}
		seen[key] = len(list)
		list = append(list, q)
	}
	if len(list) == 0 {
		return nil, skipped, errors.New("there are no HTTP requests in it")
	}
	return list, skipped, nil
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
	body, err := h.body()
	if err != nil {
		return Request{}, err
	}
	q.Body = []byte(wire.Literal(body))
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
	cookie, typed := -1, false
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
		typed = typed || strings.EqualFold(f.Name, "Content-Type")
		q.Headers = append(q.Headers, [2]string{f.Name, value})
	}
	if cookie < 0 && len(h.Cookies) > 0 {
		pairs := make([]string, len(h.Cookies))
		for i, c := range h.Cookies {
			pairs[i] = wire.Literal(c.Name + "=" + c.Value)
		}
		q.Headers = append(q.Headers, [2]string{"Cookie", strings.Join(pairs, "; ")})
	}
	if p := h.PostData; !typed && p != nil && p.MimeType != "" {
		q.Headers = append(q.Headers, [2]string{"Content-Type", wire.Literal(p.MimeType)})
	}
}

// body is what was posted: as a text, or as the fields of a form.
func (h *harRequest) body() (string, error) {
	p := h.PostData
	switch {
	case p == nil:
		return "", nil
	case p.Text != nil && p.Encoding == "base64":
		b, err := base64.StdEncoding.DecodeString(*p.Text)
		if err != nil {
			return "", fmt.Errorf("body: %w", err)
		}
		return string(b), nil
	case p.Text != nil && (*p.Text != "" || len(p.Params) == 0):
		return *p.Text, nil
	case len(p.Params) == 0:
		return "", nil
	case !strings.HasPrefix(p.MimeType, "application/x-www-form-urlencoded"):
		return "", fmt.Errorf("body: the recording has no text of a %q, only its parameters", p.MimeType)
	}
	pairs := make([]string, len(p.Params))
	for i, f := range p.Params {
		pairs[i] = url.QueryEscape(f.Name) + "=" + url.QueryEscape(f.Value)
	}
	return strings.Join(pairs, "&"), nil
}
