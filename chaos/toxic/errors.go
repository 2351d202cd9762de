package toxic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/wire"
)

// Errors answers in the dependency's place, which never sees the request. An
// exchange that waits for its response when the fault is injected is answered
// too, and its connection to the dependency is closed; one whose response has
// begun to reach the caller is left alone.
type Errors struct {
	Status Statuses `yaml:"status"` // One status, or a list to draw from evenly.
	// What gRPC calls get, like UNAVAILABLE; absent means what stands for the status. One of the two is needed.
	GRPC       GRPCCode          `yaml:"grpc_status"`
	RetryAfter time.Duration     `yaml:"retry_after"` // Sent as Retry-After in whole seconds, rounded up; absent sends none.
	Headers    map[string]string `yaml:"headers"`     // Sent besides; a Content-Type given here replaces that of the body.
	Body       string            `yaml:"body"`        // Body of the answer.
	Select     `yaml:",inline"`
}

// DecideExchange answers what Select takes.
func (e Errors) DecideExchange(_ *Head, rng *rand.Rand) Fate {
	if len(e.Status) == 0 && e.GRPC == 0 {
		return Fate{}
	}
	f := Fate{Verb: Respond, GRPCStatus: int(e.GRPC), RetryAfter: e.RetryAfter, Body: e.Body, Fields: MakeFields(e.Headers)}
	switch len(e.Status) {
	case 0:
	case 1:
		f.Status = e.Status[0]
	default:
		f.Status = e.Status[rng.IntN(len(e.Status))]
	}
	return f
}

// Check reports what is wrong with e, by key.
func (e Errors) Check(report func(field, problem string)) {
	if len(e.Status) == 0 && e.GRPC == 0 {
		report("status", "is missing")
	}
	if e.GRPC < 0 || int(e.GRPC) >= len(grpcCodes) {
		report("grpc_status", fmt.Sprintf("%d is not a gRPC status", e.GRPC))
	}
	for _, s := range e.Status {
		if s < 200 || s > 599 {
			report("status", fmt.Sprintf("%d must be 200 to 599", s))
		} else if Bodiless(s) && e.Body != "" {
			report("body", fmt.Sprintf("a %d has no body", s))
		}
	}
	if e.RetryAfter < 0 {
		report("retry_after", "must not be negative")
	}
	e.checkHeaders(report)
	e.Select.Check(report)
}

// framing are the headers that the answer has anyway, or that would tell its
// reader something else than it is.
var framing = []string{"connection", "content-length", "retry-after", "te", "trailer", "transfer-encoding", "upgrade"}

func (e Errors) checkHeaders(report func(field, problem string)) {
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		value := e.Headers[name]
		switch {
		case !wire.IsToken(name):
			report("headers", fmt.Sprintf("%q is not a header name", name))
		case strings.EqualFold(name, "retry-after"):
			report("headers", "Retry-After has a key of its own, retry_after")
		case slices.Contains(framing, strings.ToLower(name)):
			report("headers", fmt.Sprintf("%s is for the link to set", name))
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			report("headers", fmt.Sprintf("the value of %s holds a control character", name))
		}
	}
}

// String is like "errors 503 to 30% of POST /pay".
func (e Errors) String() string {
	s := "errors "
	switch {
	case e.GRPC == 0:
		s += e.Status.String()
	case len(e.Status) == 0:
		s += e.GRPC.String()
	default:
		s += e.Status.String() + " or " + e.GRPC.String()
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" (Retry-After %d s)", WholeSeconds(e.RetryAfter))
	}
	return s + " to " + e.Select.String()
}

// Statuses is one HTTP status or several; written as 503 or [502, 503].
type Statuses []int

// String is like "502 or 503".
func (s Statuses) String() string {
	return unit.List(s, " or ", strconv.Itoa)
}

// WholeSeconds rounds up, so that a Retry-After is never too early.
func WholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// Bodiless reports whether a response of this status has no body, RFC 9110 §6.4.1.
func Bodiless(status int) bool {
	return status < 200 || status == 204 || status == 304
}
