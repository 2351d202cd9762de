package proxy

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Errors answers in the dependency's place, which never sees the request. An
// exchange that waits for its response when the fault is injected is answered
// too, and its connection to the dependency is closed; one whose response has
// begun to reach the caller is left alone.
type Errors struct {
	Status     Statuses      `yaml:"status"`      // One status, or a list to draw from evenly.
	RetryAfter time.Duration `yaml:"retry_after"` // Sent as Retry-After in whole seconds, rounded up; absent sends none.
	Body       string        `yaml:"body"`        // Body of the answer.
	Select     `yaml:",inline"`
}

// Decide answers what Select takes.
func (e Errors) Decide(x *Head, rng *rand.Rand) Fate {
	if len(e.Status) == 0 || !e.takes(x, rng) {
		return Fate{}
	}
	status := e.Status[0]
	if len(e.Status) > 1 {
		status = e.Status[rng.IntN(len(e.Status))]
	}
	return Fate{Verb: Respond, Status: status, RetryAfter: e.RetryAfter, Body: e.Body}
}

// Check reports what is wrong with e, by key.
func (e Errors) Check(report func(field, problem string)) {
	if len(e.Status) == 0 {
		report("status", "is missing")
	}
	for _, s := range e.Status {
		if s < 200 || s > 599 {
			report("status", fmt.Sprintf("%d must be 200 to 599", s))
		} else if bodiless(s) && e.Body != "" {
			report("body", fmt.Sprintf("a %d has no body", s))
		}
	}
	if e.RetryAfter < 0 {
		report("retry_after", "must not be negative")
	}
	e.Select.Check(report)
}

// String is like "errors 503 to 30% of POST /pay".
func (e Errors) String() string {
	s := "errors " + e.Status.String()
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" (Retry-After %d s)", wholeSeconds(e.RetryAfter))
	}
	return s + " to " + e.Select.String()
}

// Statuses is one HTTP status or several; written as 503 or [502, 503].
type Statuses []int

// String is like "502 or 503".
func (s Statuses) String() string {
	text := make([]string, len(s))
	for i, v := range s {
		text[i] = strconv.Itoa(v)
	}
	return strings.Join(text, " or ")
}

// wholeSeconds rounds up: nobody is told to come back too early.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// bodiless tells whether a response of this status has no body, RFC 9110 §6.4.1.
func bodiless(status int) bool {
	return status < 200 || status == 204 || status == 304
}
