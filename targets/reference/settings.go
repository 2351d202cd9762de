package reference

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Setting is one key of a service's `with`.
type Setting struct {
	Name    string
	Default string // as it would be written
	Values  string // what may be written
	Meaning string
}

// Description is what `stormctl target --list` shows of a service.
type Description struct {
	Name     string
	About    string
	Settings []Setting
	Flaws    []Flaw // values of the setting flaw
}

// key is a setting together with the place its value goes to.
type key[S any] struct {
	Setting
	needs string // the pattern it belongs to: without that it has no effect
	set   func(*S, string) error
}

func describe[S any](keys []key[S]) []Setting {
	var list []Setting
	for _, k := range keys {
		list = append(list, k.Setting)
	}
	return list
}

// parse fills settings with the defaults and then with what is given.
func parse[S any](service string, keys []key[S], with map[string]string) (*S, error) {
	s := new(S)
	var errs []error
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
		value, given := with[k.Name]
		if !given {
			value = k.Default
		}
		if err := k.set(s, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s %q: %w", service, k.Name, value, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if !slices.Contains(names, name) {
			errs = append(errs, unknown("setting of "+service, name, names))
		}
	}
	return s, errors.Join(errs...)
}

// parseFlawed is parse for a service that has flaws: one that is given must be among them.
func parseFlawed[S any](service string, keys []key[S], flaws []Flaw, with map[string]string) (*S, error) {
	s, err := parse(service, keys, with)
	var names []string
	for _, f := range flaws {
		names = append(names, f.Name)
	}
	if name, given := with["flaw"]; given && !slices.Contains(names, name) {
		err = errors.Join(err, unknown("flaw of "+service, name, names))
	}
	return s, err
}

// flawOf is the setting flaw. What it may be, and that it is not empty, is for parseFlawed.
func flawOf[S any](meaning string, at func(*S) *string) key[S] {
	return key[S]{
		Setting: Setting{Name: "flaw", Default: "", Values: "a flaw", Meaning: meaning},
		set:     func(s *S, v string) error { *at(s) = v; return nil },
	}
}

// frontendSettings configure the patterns in front of every dependency.
type frontendSettings struct {
	breaker      string
	failures     int
	open         time.Duration
	probes       int
	errorPercent int

	retry         string
	retries       int
	law           law
	retryOn       []int
	retryAfterMax time.Duration
	deadline      time.Duration

	fallback string
	dedupe   string

	bulkhead string
	limit    int // 0 means the textbook's
	limits   map[string]int
	linger   time.Duration

	timeout     time.Duration // 0 means none
	dialTimeout time.Duration

	protocol string
	idHeader string
	flaw     string
}

var frontendKeys = []key[frontendSettings]{
	oneOf("breaker", "none", "library of the circuit breaker; hystrix opens by percentage, see error_percent",
		[]string{"none", "gobreaker", "failsafe", "hystrix"}, func(s *frontendSettings) *string { return &s.breaker }),
	whole("failures", "5", "breaker", "failed attempts in a row that open it; "+
		"for hystrix the least number of attempts in its 10 s window", 1, 1_000_000,
		func(s *frontendSettings) *int { return &s.failures }),
	wait("open", "30s", "breaker", "how long it stays open before a probe", time.Millisecond, never,
		func(s *frontendSettings) *time.Duration { return &s.open }),
	whole("probes", "1", "breaker", "attempts let through while half-open, all of which must succeed to close it", 1, 1000,
		func(s *frontendSettings) *int { return &s.probes }),
	whole("error_percent", "50", "breaker",
		"hystrix only: it opens when at least this part of the attempts of the last 10 s has failed", 1, 100,
		func(s *frontendSettings) *int { return &s.errorPercent }),

	oneOf("retry", "none", "library of the retries", []string{"none", "cenkalti", "retryablehttp", "failsafe"},
		func(s *frontendSettings) *string { return &s.retry }),
	whole("retries", "4", "retry", "most retries of a call, beside the first attempt", 0, 100,
		func(s *frontendSettings) *int { return &s.retries }),
	wait("base", "100ms", "retry", "wait before the first retry, without jitter", 0, never,
		func(s *frontendSettings) *time.Duration { return &s.law.base }),
	number("factor", "2", "retry", "growth from one wait to the next", 1, 100,
		func(s *frontendSettings) *float64 { return &s.law.factor }),
	share("jitter", "50%", "retry", "a wait d becomes d + random(0..jitter·d)",
		func(s *frontendSettings) *float64 { return &s.law.jitter }),
	oneOf("law", "add", "add: a wait d is spread by jitter; noise: by noise, however long it is; "+
		"linear: d is base, twice base, ...; decorrelated: from base to three times the wait before, without factor and jitter",
		[]string{"add", "noise", "linear", "decorrelated"}, func(s *frontendSettings) *string { return &s.law.kind }),
	wait("noise", "100ms", "retry", "with law noise, a wait d becomes d + random(0..noise)", 0, never,
		func(s *frontendSettings) *time.Duration { return &s.law.noise }),
	wait("cap", "none", "retry", "longest wait without jitter", time.Millisecond, orNone,
		func(s *frontendSettings) *time.Duration { return &s.law.cap }),
	statuses("retry_on", "429,502,503,504", "retry", "statuses that are retried; network errors and timeouts always are",
		func(s *frontendSettings) *[]int { return &s.retryOn }),
	wait("retry_after_max", "10s", "retry", "a longer Retry-After ends the call", 0, never,
		func(s *frontendSettings) *time.Duration { return &s.retryAfterMax }),
	wait("deadline", "none", "retry", "bound of a whole call; a retry that would begin after it is not waited for",
		time.Millisecond, orNone, func(s *frontendSettings) *time.Duration { return &s.deadline }),

	oneOf("bulkhead", "none", "library of the bulkhead", []string{"none", "failsafe", "semaphore"},
		func(s *frontendSettings) *string { return &s.bulkhead }),
	limit("limit", "textbook",
		"calls in progress per dependency; textbook is 40, 30, 30 for three dependencies in alphabetical order and else 40",
		func(s *frontendSettings) *int { return &s.limit }),
	limits("limits", "none", "limits of single dependencies, over limit",
		func(s *frontendSettings) *map[string]int { return &s.limits }),
	wait("linger", "20ms", "bulkhead",
		"a permit is kept this much longer when we hung up: the other side learns of it later than we do", 0, never,
		func(s *frontendSettings) *time.Duration { return &s.linger }),

	oneOf("fallback", "none", "static answers 200 with X-Degraded in place of a call that failed, timed out, was rejected or ended in 5xx",
		[]string{"none", "static"}, func(s *frontendSettings) *string { return &s.fallback }),

	oneOf("dedupe", "none", "memory makes one call of requests with one Idempotency-Key, or without that one X-Request-Id, "+
		"and answers all by it",
		[]string{"none", "memory"}, func(s *frontendSettings) *string { return &s.dedupe }),

	wait("timeout", "1s", "", "bound of one attempt, its whole answer included", time.Millisecond, orNone,
		func(s *frontendSettings) *time.Duration { return &s.timeout }),
	wait("dial_timeout", "1s", "", "bound of connecting, within timeout", time.Millisecond, never,
		func(s *frontendSettings) *time.Duration { return &s.dialTimeout }),
	oneOf("protocol", "http1", "what dependencies are called by: HTTP/1.1, or HTTP/2 by prior knowledge", []string{"http1", "h2"},
		func(s *frontendSettings) *string { return &s.protocol }),
	header("id_header", "X-Request-Id", "header passed on to the dependency; traceparent, X-Request-Id and Idempotency-Key always are",
		func(s *frontendSettings) *string { return &s.idHeader }),
	flawOf("breaks one pattern in one way", func(s *frontendSettings) *string { return &s.flaw }), // checked by checkFlaw
}

// parseFrontend checks each setting and how they go together.
func parseFrontend(with map[string]string) (*frontendSettings, error) {
	s, err := parse("frontend", frontendKeys, with)
	errs := []error{err}
	chosen := map[string]string{"breaker": s.breaker, "retry": s.retry, "bulkhead": s.bulkhead, "fallback": s.fallback, "dedupe": s.dedupe}
	for _, k := range frontendKeys {
		if _, given := with[k.Name]; given && k.needs != "" && chosen[k.needs] == "none" {
			errs = append(errs, fmt.Errorf("frontend: %s has no effect without %s: set %s to one of %s",
				k.Name, k.needs, k.needs, libraries(k.needs)))
		}
	}
	if _, given := with["error_percent"]; given && s.breaker != "hystrix" && s.breaker != "none" {
		errs = append(errs, fmt.Errorf("frontend: error_percent has no effect on %s, which counts failures in a row: "+
			"leave it out, or set breaker to hystrix", s.breaker))
	}
	if s.breaker == "hystrix" && s.probes != 1 {
		errs = append(errs, fmt.Errorf("frontend: probes %d: hystrix always sends one: "+
			"leave it out, or set breaker to gobreaker or failsafe", s.probes))
	}
	if value, given := with["flaw"]; given {
		errs = append(errs, checkFlaw(value, chosen))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.applyFlaw()
	return s, nil
}

// libraries lists what a pattern can be switched on with.
func libraries(pattern string) string {
	for _, k := range frontendKeys {
		if k.Name == pattern {
			return strings.TrimPrefix(k.Values, "none, ")
		}
	}
	return ""
}

// dependencySettings configure the dependency.
type dependencySettings struct {
	serviceTime time.Duration
	jitter      time.Duration
	body        int
	remember    int
	idHeader    string
}

var dependencyKeys = []key[dependencySettings]{
	wait("service_time", "0s", "", "how long a request is worked on", 0, never,
		func(s *dependencySettings) *time.Duration { return &s.serviceTime }),
	wait("jitter", "0s", "", "added to service_time, evenly from 0 to this", 0, never,
		func(s *dependencySettings) *time.Duration { return &s.jitter }),
	size("body", "2B", "size of the answer's body", 16<<20,
		func(s *dependencySettings) *int { return &s.body }),
	whole("remember", "1000000", "",
		"request ids whose effects are remembered; the oldest are forgotten first, and counted", 256, 100_000_000,
		func(s *dependencySettings) *int { return &s.remember }),
	header("id_header", "X-Request-Id", "header that carries the request id; without it the trace id of traceparent is used",
		func(s *dependencySettings) *string { return &s.idHeader }),
}

func parseDependency(with map[string]string) (*dependencySettings, error) {
	return parse("dependency", dependencyKeys, with)
}
