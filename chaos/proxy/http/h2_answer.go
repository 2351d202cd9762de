package http

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// respond decides that we answer, and with what. The dependency's stream is
// reset, if there is one.
func (m *h2Conn) respond(s *h2Stream) {
	s.x.answering, s.x.answer = true, s.x.fate
	m.recordHits(s, toxic.Fate.Answers)
	m.drop(s, http2.ErrCodeCancel)
	s.ours, s.up = true, 0
	s.response.empty()
	s.response.complete, s.response.reset, s.response.headed = false, false, false
	if n := s.request.empty(); n > 0 {
		m.giveBack(s, &s.request, n)
	}
	m.answer(s)
}

// answer answers a request in the dependency's place, once it is there. Three
// kinds of callers send the rest only when they have got something: one that
// waits for a 100, one that asks for a tunnel, and one of a gRPC stream of messages.
func (m *h2Conn) answer(s *h2Stream) {
	if s.filled || !s.request.complete && !s.waits && !s.x.toCONNECT && !s.messages.one {
		return
	}
	s.filled = true
	x := &s.x
	if x.open && s.hash != fnvOffset {
		x.Payload = nonZero(s.hash)
	}
	f := &s.response
	f.complete = true
	head, body := answerHead(x.answer, s.grpc)
	f.heads = append(f.heads, head)
	if !x.toHEAD {
		f.data = append(f.data, body...)
	}
	x.SetRetryAfter(time.Duration(toxic.WholeSeconds(x.answer.RetryAfter)) * time.Second)
}

// answerHead is the head of a Respond, and its body. To gRPC it is one of
// trailers alone, as the gRPC project's "gRPC over HTTP2" has it.
func answerHead(a toxic.Fate, grpc bool) (head []hpack.HeaderField, body string) {
	typed := false
	field := func(name, value string) { head = append(head, hpack.HeaderField{Name: name, Value: value}) }
	more := func() {
		for name, value := range a.Fields.All() {
			name = strings.ToLower(name)
			field(name, value)
			typed = typed || name == "content-type"
		}
	}
	if grpc {
		field(":status", "200")
		if more(); !typed {
			field("content-type", "application/grpc")
		}
		field("grpc-status", decimal(int64(answerGRPC(a))))
		if a.Body != "" {
			field("grpc-message", grpcMessage(a.Body))
		}
		if a.RetryAfter > 0 {
			field("grpc-retry-pushback-ms", decimal(toxic.WholeSeconds(a.RetryAfter)*1000))
		}
		return head, ""
	}
	status := answerHTTP(a)
	field(":status", decimal(int64(status)))
	more()
	if a.RetryAfter > 0 {
		field("retry-after", decimal(toxic.WholeSeconds(a.RetryAfter)))
	}
	if toxic.Bodiless(status) {
		return head, ""
	}
	if a.Body != "" && !typed {
		field("content-type", "text/plain; charset=utf-8")
	}
	field("content-length", decimal(int64(len(a.Body))))
	return head, a.Body
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
