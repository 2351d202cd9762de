package reference

import (
	"strings"
	"testing"
)

func TestCheckRefuses(t *testing.T) {
	tests := map[string]struct {
		service string
		with    map[string]string
		want    []string // all of them in the error
	}{
		"service":          {"backend", nil, []string{`unknown reference service "backend"`, "frontend, page, store, worker, rpc, pool, cache, dependency"}},
		"key":              {"frontend", map[string]string{"brekaer": "gobreaker"}, []string{`unknown setting of frontend "brekaer"`, `did you mean "breaker"?`, "valid: breaker, failures"}},
		"library":          {"frontend", map[string]string{"breaker": "gobraker"}, []string{`frontend: breaker "gobraker": must be one of none, gobreaker, failsafe, hystrix`, `did you mean "gobreaker"?`}},
		"number":           {"frontend", map[string]string{"breaker": "gobreaker", "failures": "0"}, []string{`failures "0": must be a whole number from 1`}},
		"word for number":  {"frontend", map[string]string{"breaker": "gobreaker", "failures": "five"}, []string{`failures "five"`}},
		"duration":         {"frontend", map[string]string{"breaker": "gobreaker", "open": "30"}, []string{`open "30": must be a duration like 250ms`}},
		"too short":        {"frontend", map[string]string{"breaker": "gobreaker", "open": "1us"}, []string{"at least 1ms"}},
		"never none":       {"frontend", map[string]string{"breaker": "gobreaker", "open": "none"}, []string{`open "none"`}},
		"negative":         {"frontend", map[string]string{"retry": "cenkalti", "base": "-1s"}, []string{`base "-1s"`}},
		"share":            {"frontend", map[string]string{"retry": "cenkalti", "jitter": "0.5"}, []string{`jitter "0.5": must be a share`}},
		"share past 100":   {"frontend", map[string]string{"retry": "cenkalti", "jitter": "101%"}, []string{`jitter "101%"`}},
		"factor":           {"frontend", map[string]string{"retry": "cenkalti", "factor": "NaN"}, []string{`factor "NaN": must be a number from 1 to 100`}},
		"status":           {"frontend", map[string]string{"retry": "cenkalti", "retry_on": "503,200"}, []string{`retry_on "503,200": must be statuses from 400 to 599`}},
		"limit":            {"frontend", map[string]string{"bulkhead": "semaphore", "limit": "0"}, []string{`limit "0"`, "or textbook"}},
		"limits":           {"frontend", map[string]string{"bulkhead": "semaphore", "limits": "a=40 b"}, []string{`"b": must be dependencies with their limits`}},
		"limits twice":     {"frontend", map[string]string{"bulkhead": "semaphore", "limits": "a=40 a=30"}, []string{"a is given twice"}},
		"header":           {"frontend", map[string]string{"id_header": "X Id"}, []string{`id_header "X Id": must be the name of an HTTP header`}},
		"no effect":        {"frontend", map[string]string{"failures": "3"}, []string{"failures has no effect without breaker: set breaker to one of gobreaker, failsafe, hystrix"}},
		"percentage":       {"frontend", map[string]string{"breaker": "gobreaker", "error_percent": "50"}, []string{"error_percent has no effect on gobreaker"}},
		"hystrix probes":   {"frontend", map[string]string{"breaker": "hystrix", "probes": "2"}, []string{"hystrix always sends one"}},
		"flaw":             {"frontend", map[string]string{"breaker": "gobreaker", "flaw": "never-open"}, []string{`unknown flaw of frontend "never-open"`, `did you mean "never-opens"?`, "leaks"}},
		"flaw none":        {"frontend", map[string]string{"flaw": "none"}, []string{"leave flaw out", "no-timeout"}},
		"flaw empty":       {"frontend", map[string]string{"flaw": ""}, []string{`unknown flaw of frontend ""`}},
		"several at once":  {"frontend", map[string]string{"breaker": "x", "timeout": "y", "zzz": "1"}, []string{`breaker "x"`, `timeout "y"`, `"zzz"`}},
		"dependency":       {"dependency", map[string]string{"service_tme": "1ms", "body": "1"}, []string{`did you mean "service_time"?`, `body "1": must be a size`}},
		"body":             {"dependency", map[string]string{"body": "1GiB"}, []string{`body "1GiB"`}},
		"body too large":   {"dependency", map[string]string{"body": "17MiB"}, []string{"at most 16 MiB"}},
		"half a byte":      {"dependency", map[string]string{"body": "0.5B"}, []string{"whole bytes"}},
		"items":            {"page", map[string]string{"items": "1001"}, []string{`items "1001": must be a whole number from 0 to 1000`}},
		"flaw of a page":   {"page", map[string]string{"flaw": "n+1"}, []string{`unknown flaw of page "n+1"`, "valid: n-plus-one, serial"}},
		"empty flaw":       {"page", map[string]string{"flaw": ""}, []string{`unknown flaw of page ""`}},
		"waiting":          {"worker", map[string]string{"waiting": "-1"}, []string{`waiting "-1": must be a whole number from 0`}},
		"flaw of a worker": {"worker", map[string]string{"flaw": "unbounded"}, []string{`unknown flaw of worker "unbounded"`, "valid: unbounded-queue"}},
		"capacity":         {"consumer", map[string]string{"flaw": "no-headroom"}, []string{"flaw no-headroom: it has no limit: set capacity"}},
		"order":            {"consumer", map[string]string{"order": "bufer", "flaw": "acks-last"}, []string{`did you mean "buffer"?`, `unknown flaw of consumer "acks-last"`}},
		"flaw of a saga":   {"saga", map[string]string{"flaw": "forgets-on-crash", "journal": "off"}, []string{"forgets-on-crash: it has no journal: set journal to on"}},
		"empty flaw again": {"publisher", map[string]string{"flaw": ""}, []string{`unknown flaw of publisher ""`, "valid: drops-oldest"}},
		"persist":          {"publisher", map[string]string{"flaw": "async-persist", "driver": "rabbitmq"}, []string{"go with driver jetstream only"}},
		"replicas":         {"publisher", map[string]string{"replicas": "3", "flaw": "async-persist"}, []string{"replicas: more than one go with"}},
		"no gaps":          {"consumer", map[string]string{"flaw": "applies-gap", "driver": "rabbitmq"}, []string{"flaw applies-gap: RabbitMQ leaves none"}},
		"not counted":      {"consumer", map[string]string{"attempts": "3", "order": "none", "driver": "rabbitmq"}, []string{"attempts: RabbitMQ does not count them"}},
		"no flaws":         {"dependency", map[string]string{"flaw": "leaks"}, []string{`unknown setting of dependency "flaw"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := Check(test.service, test.with)
			if err == nil {
				t.Fatal("Check found nothing wrong")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

// library is any one for a pattern.
var library = map[string]string{"breaker": "gobreaker", "retry": "cenkalti", "bulkhead": "semaphore", "fallback": "static", "dedupe": "memory"}

func TestEachFlawNeedsItsPattern(t *testing.T) {
	for _, f := range flaws {
		with := map[string]string{"flaw": f.Name}
		if f.Pattern != "timeout" {
			err := Check("frontend", with)
			if err == nil || !strings.Contains(err.Error(), "set "+f.Pattern+" to one of") {
				t.Errorf("%s without %s: %v", f.Name, f.Pattern, err)
			}
			with[f.Pattern] = library[f.Pattern]
		}
		if err := Check("frontend", with); err != nil {
			t.Errorf("%s with %s: %v", f.Name, f.Pattern, err)
		}
	}
}

func TestCheckAccepts(t *testing.T) {
	for _, test := range []struct {
		service string
		with    map[string]string
	}{
		{"frontend", nil},
		{"frontend", map[string]string{"breaker": "gobreaker", "failures": "5", "open": "2s"}},
		{"frontend", map[string]string{"breaker": "hystrix", "error_percent": "10", "probes": "1"}},
		{"frontend", map[string]string{"retry": "failsafe", "retry_on": "429 503, 500", "jitter": "0%", "cap": "none", "deadline": "2s"}},
		{"frontend", map[string]string{"bulkhead": "failsafe", "limits": "a=40 b=30 c=30", "limit": "textbook"}},
		{"frontend", map[string]string{"fallback": "static", "flaw": "errors-only"}},
		{"frontend", map[string]string{"timeout": "none", "id_header": "x-correlation-id"}},
		{"page", map[string]string{"items": "0", "calls": "0", "timeout": "none", "flaw": "serial"}},
		{"consumer", map[string]string{"order": "none", "dedupe": "memory", "capacity": "600", "flaw": "no-headroom"}},
		{"participant", map[string]string{"do": "reserve", "undo": "release", "refuses": "5%"}},
		{"dependency", map[string]string{"service_time": "50us", "jitter": "1ms", "body": "64KiB", "remember": "1000"}},
	} {
		if err := Check(test.service, test.with); err != nil {
			t.Errorf("%s %v: %v", test.service, test.with, err)
		}
	}
}

// What Describe tells can be written: each default passes its own check, and
// nothing is left without a meaning.
func TestDescribe(t *testing.T) {
	for _, name := range Names() {
		d, known := Describe(name)
		if !known || d.Name != name || d.About == "" || len(d.Settings) == 0 {
			t.Fatalf("Describe(%s) = %+v, %t", name, d, known)
		}
		with := map[string]string{}
		if name == "frontend" {
			with = merge(library)
		}
		for _, s := range d.Settings {
			if s.Meaning == "" || s.Values == "" {
				t.Errorf("%s: setting %s has no meaning or no values", name, s.Name)
			}
			if with[s.Name] == "" && s.Name != "flaw" && s.Name != "error_percent" {
				with[s.Name] = s.Default
			}
		}
		if err := Check(name, with); err != nil {
			t.Errorf("defaults of %s, written out: %v", name, err)
		}
		for _, f := range d.Flaws {
			if f.Meaning == "" || f.Claim == "" {
				t.Errorf("%s: flaw %s has no meaning or no claim", name, f.Name)
			}
		}
	}
	if d, _ := Describe("frontend"); len(d.Flaws) != 20 {
		t.Errorf("%d flaws, want 6 of breaker + 7 of retry + 4 of bulkhead + 1 of fallback + 1 of dedupe + 1 of timeout", len(d.Flaws))
	}
	if _, known := Describe("backend"); known {
		t.Error("Describe knows backend")
	}
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"kitten", "sitting", 3}, // k→s, e→i, +g
		{"brekaer", "breaker", 2},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
