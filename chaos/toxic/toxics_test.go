package toxic

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/chaos/unit"
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(7, 7)) }

// decide is what the relay asks of a toxic.
func decide(t ExchangeToxic, x *Head, rng *rand.Rand) Fate {
	s := t.Selection()
	if GrowsInSize(t) {
		s.Ramp = 0
	}
	if !s.Takes(x, rng) {
		return Fate{}
	}
	return t.DecideExchange(x, rng)
}

// headOf is the head of a request with these headers.
func headOf(method, path string, headers map[string]string) *Head {
	return &Head{Method: []byte(method), Path: []byte(path), Header: func(name string) ([]byte, bool) {
		for k, v := range headers {
			if strings.EqualFold(k, name) {
				return []byte(v), true
			}
		}
		return nil, false
	}}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/pay", "/pay", true},
		{"/pay", "/pay/", false},
		{"/pay", "/payment", false},
		{"/pay/*", "/pay/7", true},
		{"/pay/*", "/pay/", true}, // * may stand for nothing
		{"/pay/*", "/pay/7/items", false},
		{"/pay/**", "/pay/7/items", true},
		{"/pay/**", "/pay", false},
		{"**", "", true},
		{"*", "/", false},
		{"/**/items", "/pay/7/items", true},
		{"/**/items", "/items", false}, // both slashes are there to be matched
		{"/**items", "/items", true},
		{"/*/7/*", "/pay/7/items", true},
		{"/*/7/*", "/pay/8/7/items", false},
		{"/**/7/*", "/pay/8/7/items", true},
		{"/a*b*c", "/aXbYbZc", true},
		{"/a*b*c", "/aXbYbZd", false},
		{"**/x*y", "/x/xzy", true},
		{"/pay.*", "/payX7", false}, // a dot is a dot
		{"", "", true},
	} {
		if got := glob(tt.pattern, []byte(tt.path)); got != tt.want {
			t.Errorf("glob(%q, %q) = %v, want %v", tt.pattern, tt.path, got, tt.want)
		}
	}
}

// TestGlobIsTheRegexp compares with the same pattern written as a regular
// expression, over an alphabet small enough for collisions.
func TestGlobIsTheRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`(a|b|/|\*|\*\*){0,8}`).Draw(t, "pattern")
		path := rapid.StringMatching(`[ab/]{0,10}`).Draw(t, "path")
		re := "^"
		for rest := pattern; rest != ""; {
			switch {
			case strings.HasPrefix(rest, "**"):
				re, rest = re+".*", rest[2:]
			case rest[0] == '*':
				re, rest = re+"[^/]*", rest[1:]
			default:
				re, rest = re+regexp.QuoteMeta(rest[:1]), rest[1:]
			}
		}
		if got, want := glob(pattern, []byte(path)), regexp.MustCompile(re+"$").MatchString(path); got != want {
			t.Fatalf("glob(%q, %q) = %v, the regexp %s says %v", pattern, path, got, re, want)
		}
	})
}

func TestMatch(t *testing.T) {
	x := headOf("POST", "/pay/7", map[string]string{"X-Tier": "gold"})
	x.Conn = 3
	for _, tt := range []struct {
		match Match
		want  bool
	}{
		{Match{Method: "POST"}, true},
		{Match{Method: "post"}, false}, // methods are case-sensitive
		{Match{Method: "POST", Path: "/pay/*"}, true},
		{Match{Method: "GET", Path: "/pay/*"}, false},
		{Match{Header: map[string]string{"x-tier": "gold"}}, true},
		{Match{Header: map[string]string{"x-tier": "Gold"}}, false},
		{Match{Header: map[string]string{"x-tier": "*"}}, true},
		{Match{Header: map[string]string{"x-tier": "*", "x-other": "*"}}, false},
		{Match{Connection: 3}, true},
		{Match{Connection: 2}, false},
		{Match{Connection: 3, Method: "GET"}, false},
		{Match{GRPC: "pay/7"}, false}, // it is not a gRPC call
	} {
		if got := tt.match.Matches(x); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.match, got, tt.want)
		}
	}
}

func TestMatchGRPC(t *testing.T) {
	for _, tt := range []struct {
		grpc, path, content string
		want                bool
	}{
		{"shop.v1.Cart/Add", "/shop.v1.Cart/Add", "application/grpc", true},
		{"shop.v1.Cart/*", "/shop.v1.Cart/Add", "application/grpc+proto", true},
		{"shop.v1.*/Add", "/shop.v1.Cart/Add", "application/grpc; a=b", true},
		{"**", "/shop.v1.Cart/Add", "application/grpc", true},
		{"shop.v1.Cart/Add", "/shop.v1.Cart/Remove", "application/grpc", false},
		{"shop.v1.Cart/Add", "/shop.v1.Cart/Add", "application/json", false},
		{"shop.v1.Cart/Add", "/shop.v1.Cart/Add", "application/grpc-web", false}, // another protocol
		{"**", "", "application/grpc", false},
	} {
		m := Match{GRPC: tt.grpc}
		if got := m.Matches(headOf("POST", tt.path, map[string]string{"Content-Type": tt.content})); got != tt.want {
			t.Errorf("%s, %s of %s: %v, want %v", tt.grpc, tt.path, tt.content, got, tt.want)
		}
	}
}

func TestDecide(t *testing.T) {
	x := headOf("GET", "/", nil)
	none := Select{Share: 1, Match: &Match{Method: "POST"}}
	for _, tt := range []struct {
		toxic ExchangeToxic
		want  Fate
	}{
		{Latency{Delay: time.Second, Select: All}, Fate{Delay: time.Second}},
		{Errors{Status: Statuses{429}, RetryAfter: time.Second, Body: "x", Select: All}, Fate{Verb: Respond, Status: 429, RetryAfter: time.Second, Body: "x"}},
		{Reset{Select: All}, Fate{Verb: Break}},
		{Partition{Select: All}, Fate{Verb: Stall}},
		{Latency{Delay: time.Second, Select: none}, Fate{}},
		{Errors{Status: Statuses{429}, Select: none}, Fate{}},
		{Reset{Select: none}, Fate{}},
		{Partition{Select: none}, Fate{}},
		{Reset{}, Fate{}}, // the zero Select takes nothing
		{Latency{Delay: time.Second, On: "response", Select: All}, Fate{Late: time.Second}},
		{Latency{Delay: time.Second, On: "request", Select: All}, Fate{Delay: time.Second}},
		{Errors{GRPC: 14, Select: All}, Fate{Verb: Respond, GRPCStatus: 14}},
		{Errors{Select: All}, Fate{}}, // it has nothing to answer with
		{Errors{Status: Statuses{503}, Headers: map[string]string{"X-B": "2", "X-A": "1"}, Select: All}, Fate{Verb: Respond, Status: 503, Fields: "X-A: 1\nX-B: 2\n"}},
	} {
		if got := decide(tt.toxic, x, rng()); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.toxic, got, tt.want)
		}
	}
}

// TestDistributions draws 100,000 times with a fixed seed; the tolerances are
// several standard errors of the figures.
func TestDistributions(t *testing.T) {
	const n = 100_000
	ms := float64(time.Millisecond)
	for _, tt := range []struct {
		toxic             Latency
		least, most       float64 // ms
		median, mean, tol float64 // ms
	}{
		// 80 to 120 ms, evenly.
		{toxic: Latency{Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond}, least: 80, most: 120, median: 100, mean: 100, tol: 0.5},
		{toxic: Latency{Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond, Distribution: "uniform"}, least: 80, most: 120, median: 100, mean: 100, tol: 0.5},
		{toxic: Latency{Delay: 100 * time.Millisecond, Jitter: 10 * time.Millisecond, Distribution: "normal"}, least: 40, most: 160, median: 100, mean: 100, tol: 0.5},
		// Lomax with shape 2: median √2−1 = 0.414, mean 1, in units of jitter.
		{toxic: Latency{Delay: 100 * time.Millisecond, Jitter: 10 * time.Millisecond, Distribution: "pareto"}, least: 100, most: math.Inf(1), median: 104.14, mean: 110, tol: 0.5},
	} {
		tt.toxic.Share = 1
		r := rng()
		draws := make([]float64, n)
		sum := 0.0
		for i := range draws {
			draws[i] = float64(decide(tt.toxic, headOf("GET", "/", nil), r).Delay) / ms
			sum += draws[i]
		}
		slices.Sort(draws)
		if draws[0] < tt.least || draws[n-1] > tt.most {
			t.Errorf("%v: draws from %v to %v ms, want %v to %v", tt.toxic, draws[0], draws[n-1], tt.least, tt.most)
		}
		if got := draws[n/2]; math.Abs(got-tt.median) > tt.tol {
			t.Errorf("%v: median %v ms, want %v", tt.toxic, got, tt.median)
		}
		if got := sum / n; math.Abs(got-tt.mean) > tt.tol {
			t.Errorf("%v: mean %v ms, want %v", tt.toxic, got, tt.mean)
		}
	}
}

func TestStatusesAreDrawnEvenly(t *testing.T) {
	e := Errors{Status: Statuses{500, 502, 503}, Select: All}
	r, counts := rng(), map[int]int{}
	for range 30_000 {
		counts[decide(e, headOf("GET", "/", nil), r).Status]++
	}
	for _, s := range e.Status {
		// 10,000 ± 5 standard deviations of √(30000·⅓·⅔) = 82.
		if counts[s] < 9590 || counts[s] > 10410 {
			t.Errorf("%d came %d times of 30000, want about a third", s, counts[s])
		}
	}
}

func TestString(t *testing.T) {
	pay := &Match{Method: "POST", Path: "/pay"}
	for _, tt := range []struct {
		toxic ExchangeToxic
		want  string
	}{
		{Errors{Status: Statuses{503}, Select: All}, "errors 503 to 100%"},
		{Errors{Status: Statuses{502, 503}, RetryAfter: 1500 * time.Millisecond, Select: Select{Share: 0.3, Match: pay}}, "errors 502 or 503 (Retry-After 2 s) to 30% of POST /pay"},
		{Errors{GRPC: 14, Select: All}, "errors UNAVAILABLE to 100%"},
		{Errors{Status: Statuses{503}, GRPC: 8, Select: All}, "errors 503 or RESOURCE_EXHAUSTED to 100%"},
		{Latency{Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond, Select: Select{Share: 1, Match: pay}}, "latency 100ms ± 20ms to POST /pay"},
		{Latency{Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond, Distribution: "pareto", Select: All}, "latency 100ms (pareto, + 20ms) to 100%"},
		{Latency{Delay: time.Second, Jitter: time.Millisecond, Distribution: "normal", Select: All}, "latency 1s (normal, σ 1ms) to 100%"},
		{Reset{Select: Select{Share: 1, Match: &Match{Header: map[string]string{"b": "*", "a": "1"}}}}, "reset to with a: 1, b: *"},
		{Partition{Select: Select{Share: 0.005}}, "partition to 0.5%"},
		{Latency{Delay: time.Second, On: "response", Select: All}, "latency of the response 1s to 100%"},
		{Reset{Select: Select{Share: 1, First: 3}}, "reset to 100%, the first 3"},
		{Reset{Select: Select{Share: 0.5, Match: pay, Every: 2, Cycle: &Cycle{2 * time.Second, 3 * time.Second}, Ramp: time.Minute, MaxActive: 5}},
			"reset to 50% of POST /pay, every 2nd, 2s on, 3s off, growing over 1m, at most 5 at a time"},
		{Reset{Select: Select{Share: 1, Match: &Match{GRPC: "shop.v1.Cart/*", Connection: 2}}}, "reset to gRPC shop.v1.Cart/* on connection 2"},
	} {
		if got := tt.toxic.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	type checker interface {
		Check(report func(field, problem string))
	}
	for _, tt := range []struct {
		name string
		of   checker
		want []string // fields
	}{
		{"sound errors", Errors{Status: Statuses{200, 599}, Select: All}, nil},
		{"sound latency", Latency{Delay: 1, Jitter: 1, Select: All}, nil},
		{"sound match", Match{Method: "M-SEARCH", Path: "/a/**", Header: map[string]string{"x-a": "*"}}, nil},
		{"no status", Errors{Select: All}, []string{"status"}},
		{"gRPC status alone", Errors{GRPC: 14, Select: All}, nil},
		{"both statuses", Errors{Status: Statuses{503}, GRPC: 14, Select: All}, nil},
		{"gRPC status past the last", Errors{GRPC: 17, Select: All}, []string{"grpc_status"}},
		{"status out of range", Errors{Status: Statuses{199, 600}, Select: All}, []string{"status", "status"}},
		{"body of a 204", Errors{Status: Statuses{204}, Body: "x", Select: All}, []string{"body"}},
		{"negative wait", Errors{Status: Statuses{503}, RetryAfter: -1, Select: All}, []string{"retry_after"}},
		{"no delay", Latency{Select: All}, []string{"delay"}},
		{"delay past reason", Latency{Delay: 2 * time.Hour, Select: All}, []string{"delay"}},
		{"jitter past delay", Latency{Delay: 1, Jitter: 2, Select: All}, []string{"jitter"}},
		{"normal jitter past delay", Latency{Delay: 1, Jitter: 2, Distribution: "normal", Select: All}, nil},
		{"unknown distribution", Latency{Delay: 1, Distribution: "gauss", Select: All}, []string{"distribution"}},
		{"takes nothing", Reset{}, []string{"share"}},
		{"share past all", Partition{Select{Share: 1.5}}, []string{"share"}},
		{"share is not a number", Partition{Select{Share: unit.Share(math.NaN())}}, []string{"share"}},
		{"empty match", Match{}, []string{"match"}},
		{"lower-case method", Match{Method: "post"}, []string{"method"}},
		{"two methods", Match{Method: "GET POST"}, []string{"method"}},
		{"relative path", Match{Path: "pay"}, []string{"path"}},
		{"path with query", Match{Path: "/pay?x"}, []string{"path"}},
		{"sound select", Select{Share: 1, First: 1, Every: 1, Ramp: 1, MaxActive: 1}, nil},
		{"counts below zero", Select{Share: 1, First: -1, Every: -1, Ramp: -1, MaxActive: -1}, []string{"first", "every", "max_active", "ramp"}},
		{"sound cycle", Cycle{time.Millisecond, time.Second}, nil},
		{"cycle without phases", Cycle{}, []string{"on", "off"}},
		{"latency of nothing", Latency{Delay: 1, On: "answer", Select: All}, []string{"on"}},
		{"sound headers", Errors{Status: Statuses{503}, Headers: map[string]string{"X-A": "a\tb"}, Select: All}, nil},
		{"headers of the link", Errors{Status: Statuses{503}, Headers: map[string]string{"Content-Length": "5", "retry-after": "5", "Connection": "close"}, Select: All}, []string{"headers", "headers", "headers"}},
		{"header that ends the line", Errors{Status: Statuses{503}, Headers: map[string]string{"X-A": "a\r\nX-B: b"}, Select: All}, []string{"headers"}},
		{"header without name", Errors{Status: Statuses{503}, Headers: map[string]string{"": "a"}, Select: All}, []string{"headers"}},
		{"sound gRPC", Match{GRPC: "shop.v1.Cart/Add"}, nil},
		{"gRPC with a slash first", Match{GRPC: "/shop.v1.Cart/Add"}, []string{"grpc"}},
		{"gRPC service without method", Match{GRPC: "shop.v1.Cart"}, []string{"grpc"}},
		{"gRPC by GET", Match{GRPC: "shop.v1.Cart/*", Method: "GET"}, []string{"method"}},
		{"connection before the first", Match{Connection: -1}, []string{"connection"}},
		{"header with colon", Match{Header: map[string]string{"x:": "1"}}, []string{"header"}},
	} {
		var got []string
		tt.of.Check(func(field, problem string) {
			if problem == "" {
				t.Errorf("%s: %s has a problem that is not named", tt.name, field)
			}
			got = append(got, field)
		})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestFatesJoinInAnyOrder: And commutes and associates, so that the order of
// toxics means nothing.
func TestFatesJoinInAnyOrder(t *testing.T) {
	small := rapid.Int64Range(0, 2)
	corruption := func(t *rapid.T, label string) (c Corruption) {
		if c.Share = float64(small.Draw(t, label)) / 2; c.Share > 0 {
			c.Seed = uint64(small.Draw(t, label+" seed"))
		}
		return c
	}
	fate := rapid.Custom(func(t *rapid.T) Fate {
		f := Fate{
			Delay: time.Duration(small.Draw(t, "delay")), Late: time.Duration(small.Draw(t, "late")),
			Verb: Verb(rapid.IntRange(0, int(Stall)).Draw(t, "verb")), Acts: Act(rapid.IntRange(0, int(BreakAfter)*2-1).Draw(t, "acts")),
			Corrupt: corruption(t, "corrupt"), CorruptRequest: corruption(t, "corrupt request"),
		}
		f.Connection = f.Verb == Break && rapid.Bool().Draw(t, "connection")
		if f.Truncate.On = rapid.Bool().Draw(t, "truncate"); f.Truncate.On {
			f.Truncate.After = small.Draw(t, "after")
		}
		if f.Pace.Piece = small.Draw(t, "piece"); f.Pace.Piece > 0 {
			f.Pace.Pause = time.Duration(1 + small.Draw(t, "pause"))
		}
		if f.Verb == Respond {
			f.Status = rapid.IntRange(500, 502).Draw(t, "status")
			f.RetryAfter = time.Duration(rapid.IntRange(0, 2).Draw(t, "retry after"))
			f.Body = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "body")
			f.GRPCStatus = int(small.Draw(t, "gRPC status"))
			f.Fields = rapid.SampledFrom([]Fields{"", "a: 1\n", "a: 2\n"}).Draw(t, "fields")
		}
		return f
	})
	rapid.Check(t, func(t *rapid.T) {
		f, g, h := fate.Draw(t, "f"), fate.Draw(t, "g"), fate.Draw(t, "h")
		if a, b := f.And(g), g.And(f); a != b {
			t.Errorf("f.And(g) = %+v, g.And(f) = %+v", a, b)
		}
		if a, b := f.And(g).And(h), f.And(g.And(h)); a != b {
			t.Errorf("(f.And(g)).And(h) = %+v, f.And(g.And(h)) = %+v", a, b)
		}
		if got := f.And(Fate{}); got != f {
			t.Errorf("f.And(nothing) = %+v, want %+v", got, f)
		}
	})
}
