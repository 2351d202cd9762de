package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// implementation is an experiment of targets/proving with what is documented of it.
type implementation struct {
	name    string // of the file
	version func() (string, error)
	truths  []truth            // the numbers that it claims
	figures map[string]float64 // by row of discover: milliseconds, or a count
	says    map[string]string  // by row of discover: a part of its text
	lacks   []string           // rows that discover must not have
}

// implementations are those of docs/implementations.md, in its order.
var implementations = []implementation{
	{"gobreaker", ofModule("github.com/sony/gobreaker/v2"),
		breakerTruths(6, 1), breakerFigures(6, 1), nil, noRetry},
	{"failsafe", ofModule("github.com/failsafe-go/failsafe-go"),
		breakerTruths(5, 5), breakerFigures(5, 5), nil, noRetry},
	{"cockatiel", ofPackage("cockatiel"),
		breakerTruths(5, 1), breakerFigures(5, 1), nil, noRetry},
	{"replicas", ofModule("github.com/sony/gobreaker/v2"),
		append(breakerTruths(6, 1)[1:], words(0, "breaker.instances", "1", "2")),
		map[string]float64{"open time": 2000, "probes": 3}, nil, noRetry},
	{"hystrix", ofModule("github.com/afex/hystrix-go"),
		rateTruths(5 * time.Second), map[string]float64{
			"share that opens it": 0.5, "window": 10_000, "open time": 5000, "timeout of a call": 1000, "calls in progress": 10,
		},
		map[string]string{"breaker opens": "share"}, noRetry},
	{"opossum", ofPackage("opossum"),
		rateTruths(2 * time.Second), map[string]float64{
			"share that opens it": 0.5, "window": 10_000, "open time": 2000, "timeout of a call": 1000,
		}, map[string]string{"breaker opens": "share"}, noRetry},
	{"oxy", ofModule("github.com/vulcand/oxy/v2"), // waits at most 2.4 s
		append(rateTruths(2 * time.Second)[:2], words(0, "breaker.waits", "2400ms")), map[string]float64{
			"share that opens it": 0.5, "window": 10_000, "open time": 2000, "timeout of a call": 1000,
		}, map[string]string{"breaker opens": "share"}, noRetry},
	{"nginx", ofDebian("nginx"),
		[]truth{most(0, "breaker.failures", 3)}, map[string]float64{"breaker opens": 3},
		map[string]string{"fallback": "succeed"}, nil},
	{"apache", ofDebian("apache2"),
		[]truth{setting(0, "breaker.waits", 2*time.Second)}, map[string]float64{"breaker opens": 1, "open time": 2000}, nil, noRetry},
	{"caddy", ofProgram("caddy"),
		breakerTruths(3, 1)[:1], map[string]float64{"breaker opens": 3, "open time": 2000, "timeout of a call": 1000}, nil, noRetry},

	{"retryablehttp", ofModule("github.com/hashicorp/go-retryablehttp"),
		waitTruths(5, 100*time.Millisecond, 2.0, setting(1, "backoff.cap", 400*time.Millisecond)),
		waitFigures(5, 100, 2, "cap", 400), map[string]string{"retried": "429, 500, 502, 503, 504"}, noBreaker},
	{"cenkalti", ofModule("github.com/cenkalti/backoff/v5"),
		waitTruths(5, 500*time.Millisecond, 1.5, setting(1, "backoff.jitter", 0.5)),
		waitFigures(5, 250, 1.5, "jitter", 2), map[string]string{"retried": "500, 502, 503, 504"}, noBreaker},
	{"avast", ofModule("github.com/avast/retry-go/v4"),
		waitTruths(5, 100*time.Millisecond, 2.0, setting(1, "backoff.noise", 100*time.Millisecond)),
		waitFigures(5, 100, 2, "noise", 100), map[string]string{"retried": "500, 502, 503, 504"}, noBreaker},
	{"failsafehttp", ofModule("github.com/failsafe-go/failsafe-go"),
		retryTruths(3), attempts(3), map[string]string{"retried": "429, 500, 502, 503, 504", "law": "at once"}, noBreaker},
	{"grpc", ofModule("google.golang.org/grpc"),
		waitTruths(4, 100*time.Millisecond, 2.0, setting(1, "backoff.jitter", 0.2)),
		waitFigures(4, 80, 2, "jitter", 0.5), nil, noBreaker},
	{"axios-retry", ofPackage("axios-retry"),
		waitTruths(4, 200*time.Millisecond, 2.0, setting(1, "backoff.jitter", 0.2)),
		waitFigures(4, 200, 2, "jitter", 0.2), nil, noBreaker},
	{"got", ofPackage("got"),
		waitTruths(3, time.Second, 2.0, setting(1, "backoff.noise", 100*time.Millisecond)),
		waitFigures(3, 1000, 2, "noise", 100), map[string]string{"retried": "429, 500, 502, 503, 504"}, noBreaker},
	{"ky", ofPackage("ky"),
		waitTruths(3, 300*time.Millisecond, 2.0),
		waitFigures(3, 300, 2, "jitter", 0), map[string]string{"retried": "429, 500, 502, 503, 504"}, noBreaker},
	{"p-retry", ofPackage("p-retry"),
		waitTruths(4, 100*time.Millisecond, 2.0),
		waitFigures(4, 100, 2, "jitter", 0), map[string]string{"retried": "500, 502, 503, 504"}, noBreaker},
	{"undici", ofPackage("undici"),
		waitTruths(4, 500*time.Millisecond, 2.0),
		waitFigures(4, 500, 2, "jitter", 0), map[string]string{"retried": "429, 500, 502, 503, 504"}, noBreaker},
	{"tenacity", ofDebian("python3-tenacity"),
		waitTruths(4, 200*time.Millisecond, 2.0, setting(1, "backoff.noise", 100*time.Millisecond)),
		waitFigures(4, 200, 2, "noise", 100), nil, noBreaker},
	{"urllib3", ofDebian("python3-urllib3"),
		retryTruths(4), attempts(4), map[string]string{"retried": "500, 502, 503, 504", "law": "at once"}, noBreaker},
	{"faraday", ofDebian("ruby-faraday"),
		waitTruths(4, 100*time.Millisecond, 2.0, setting(1, "backoff.noise", 50*time.Millisecond)),
		waitFigures(4, 100, 2, "noise", 50), nil, noBreaker},
	{"curl", ofDebian("curl"),
		waitTruths(3, time.Second, 2.0),
		waitFigures(3, 1000, 2, "jitter", 0), map[string]string{"retried": "429, 500, 502, 503, 504"}, noBreaker},
	{"haproxy", ofDebian("haproxy"),
		retryTruths(4), map[string]float64{"attempts": 4, "timeout of a call": 2000}, map[string]string{"retried": "after 503"}, noBreaker},
	{"caddy-retry", ofProgram("caddy"),
		append(retryTruths(3), setting(1, "backoff.base", 250*time.Millisecond)),
		map[string]float64{"attempts": 3, "timeout of a call": 1000, "law base": 250, "law jitter": 0},
		map[string]string{"retried": "after 502, 503", "law": "constant"}, noBreaker},
	{"varnish", ofDebian("varnish"),
		retryTruths(5), map[string]float64{"attempts": 5, "timeout of a call": 1000}, map[string]string{"retried": "after 503"}, noBreaker},
	{"tiers", ofModule("github.com/hashicorp/go-retryablehttp"),
		retryTruths(3), attempts(9), nil, noBreaker},

	{"failsafe-bulkhead", ofModule("github.com/failsafe-go/failsafe-go"),
		[]truth{most(0, "bulkhead.limit", 20)}, map[string]float64{"calls in progress": 20, "timeout of a call": 2000}, nil, nothing},
	{"cockatiel-bulkhead", ofPackage("cockatiel"),
		[]truth{most(0, "bulkhead.limit", 20)}, map[string]float64{"calls in progress": 20, "timeout of a call": 2000}, nil, nothing},
	{"haproxy-maxconn", ofDebian("haproxy"),
		[]truth{most(0, "bulkhead.limit", 20)}, map[string]float64{"calls in progress": 20, "timeout of a call": 2000}, nil, nothing},

	{"nethttp", ofGo,
		[]truth{once, most(1, "timeout.within", time.Second)}, map[string]float64{"attempts": 1, "timeout of a call": 1000}, nil, nothing},
	{"reverseproxy", ofGo,
		[]truth{once}, attempts(1), map[string]string{"timeout of a call": "none seen", "calls in progress": "no bound seen"}, nothing},
	{"requests", ofDebian("python3-requests"),
		[]truth{once}, attempts(1), map[string]string{"timeout of a call": "none seen"}, nothing},
	{"squid", ofDebian("squid"),
		[]truth{once}, map[string]float64{"attempts": 1, "timeout of a call": 1000}, nil, nothing},
	{"varnish-grace", ofDebian("varnish"),
		nil, nil, map[string]string{"fallback": "succeed"}, nil},
}

// Rows that are not there where there is nothing to find.
var (
	noBreaker = []string{"breaker opens", "open time", "probes"}
	noRetry   = []string{"retried", "waits", "law"}
	nothing   = append(noBreaker[:3:3], noRetry...)
)

// once is that nothing is tried again.
var once = least(0, "retry.at_least", 1).needing("retry.attempts=20")

func attempts(n float64) map[string]float64 { return map[string]float64{"attempts": n} }

// waitFigures are of retries whose waits grow: their least, and by what more they differ.
func waitFigures(attempts, base, factor float64, more string, by float64) map[string]float64 {
	return map[string]float64{"attempts": attempts, "law base": base, "law factor": factor, "law " + more: by}
}

func retryTruths(n int) []truth {
	return []truth{
		most(0, "retry.attempts", n).needing("retry.at_least=1"), least(0, "retry.at_least", n).needing("retry.attempts=30"),
		words(0, "retry.on", "[418]"),
	}
}

// waitTruths are of retries whose first wait and growth are claimed.
func waitTruths(n int, base time.Duration, factor float64, more ...truth) []truth {
	return slices.Concat(retryTruths(n), []truth{setting(1, "backoff.base", base), setting(1, "backoff.factor", factor)}, more)
}

func breakerTruths(failures, probes int) []truth {
	return []truth{most(0, "breaker.failures", failures), setting(0, "breaker.waits", 2*time.Second), most(0, "breaker.probes", probes)}
}

func breakerFigures(failures, probes float64) map[string]float64 {
	return map[string]float64{"breaker opens": failures, "open time": 2000, "probes": probes, "timeout of a call": 1000}
}

// rateTruths are of a breaker that opens at half of the calls within 10 s. A window of ten
// buckets forgets up to a tenth of itself early: one of 11 s may be no longer than 10 s.
func rateTruths(wait time.Duration) []truth {
	return []truth{
		words(0, "breaker.failure_rate", "25%", "40%", "60%"), words(0, "breaker.window", "5s", "8s", "12500ms", "20s"),
		setting(0, "breaker.waits", wait),
	}
}

// built is what a program of the proving ground was built of.
func built(program string) (*buildinfo.BuildInfo, error) {
	info, err := buildinfo.ReadFile(proving + "bin/" + program)
	if err != nil {
		return nil, fmt.Errorf("%w: see make proving-ground", err)
	}
	return info, nil
}

// ofModule is the version of a Go module in the program that was built.
func ofModule(path string) func() (string, error) {
	return func() (string, error) {
		info, err := built("proving")
		if err != nil {
			return "", err
		}
		for _, m := range info.Deps {
			if m.Path == path {
				version, _, _ := strings.Cut(m.Version, "-") // of a module without releases
				return version, nil
			}
		}
		return "", fmt.Errorf("bin/proving has no %s", path)
	}
}

// ofProgram is the version of a program in Go that is built as its module has it.
func ofProgram(name string) func() (string, error) {
	return func() (string, error) {
		info, err := built(name)
		if err != nil {
			return "", err
		}
		return info.Main.Version, nil
	}
}

// ofGo is the version of Go that the program was built by.
func ofGo() (string, error) {
	info, err := built("proving")
	if err != nil {
		return "", err
	}
	return info.GoVersion, nil
}

// ofPackage is the version of a package for Node.js that is installed.
func ofPackage(name string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(proving + "node/node_modules/" + name + "/package.json")
		if err != nil {
			return "", fmt.Errorf("%w: see make proving-ground", err)
		}
		var p struct{ Version string }
		err = json.Unmarshal(text, &p)
		return p.Version, err
	}
}

// ofDebian is the version of a package of the system, without its revision.
func ofDebian(name string) func() (string, error) {
	return func() (string, error) {
		out, err := exec.Command("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", name).Output()
		state, version, _ := strings.Cut(string(out), " ")
		if err != nil || state != "installed" {
			return "", fmt.Errorf("%s is not installed: see make proving-ground", name)
		}
		version, _, _ = strings.Cut(version, "-")
		return version, nil
	}
}
