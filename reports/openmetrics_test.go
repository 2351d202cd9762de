package reports

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// metricsOf reads a report as Prometheus does: the value of each series, by its
// name and labels, and the type of each family.
func metricsOf(t *testing.T, r *result.Result) (values map[string]float64, types map[string]string) {
	t.Helper()
	var out bytes.Buffer
	if err := OpenMetrics(&out, r); err != nil {
		t.Fatal(err)
	}
	values, types = map[string]float64{}, map[string]string{}
	parser := textparse.NewOpenMetricsParser(out.Bytes(), labels.NewSymbolTable())
	family := ""
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) { // which it is only behind # EOF
			return values, types
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		switch entry {
		case textparse.EntryType:
			name, kind := parser.Type()
			family = string(name)
			if types[family] != "" {
				t.Errorf("family %s is there twice", name)
			}
			types[family] = string(kind)
		case textparse.EntryUnit:
			if name, unit := parser.Unit(); !strings.HasSuffix(string(name), "_"+string(unit)) {
				t.Errorf("%s has the unit %s, and its name has not", name, unit)
			}
		case textparse.EntrySeries:
			var series labels.Labels
			parser.Labels(&series)
			_, _, value := parser.Series()
			name := series.Get("__name__")
			want := family
			if types[family] == "counter" {
				want += "_total"
			}
			if name != want {
				t.Errorf("%s stands in the family %s, a %s", name, family, types[family])
			}
			if _, twice := values[series.String()]; twice {
				t.Errorf("%s is there twice", series)
			}
			values[series.String()] = value
		}
	}
}

func TestOpenMetricsIsReadByPrometheus(t *testing.T) {
	all := fixtures()
	all["markup"] = markupRun()
	for name, r := range all {
		values, _ := metricsOf(t, r)
		if len(values) < 10 {
			t.Errorf("%s: %d series", name, len(values))
		}
	}
	r := breakerRun(judge.Refuted)
	r.Faults = append(r.Faults, r.Faults[0]) // two of one name
	values, types := metricsOf(t, r)
	for _, c := range []struct {
		series string
		want   float64
	}{
		{`stormctl_claim_ruling", claim="checkout-breaks", experiment="checkout-breaker", kind="breaker", ruling="refuted"`, 1},
		{`stormctl_claim_ruling", claim="checkout-breaks", experiment="checkout-breaker", kind="breaker", ruling="held"`, 0},
		{`stormctl_claim_number", claim="checkout-breaks", experiment="checkout-breaker", number="calls_while_open"`, 37},
		{`stormctl_requests_total", experiment="checkout-breaker", outcome="5xx", route="pay"`, 2898},
		{`stormctl_response_seconds", experiment="checkout-breaker", quantile="0.99", route="pay"`, 0.00904},
		{`stormctl_fault_hits_total", experiment="checkout-breaker", fault="errors 503 on payments", on="payments"`, 30},
	} {
		if got, there := values[`{__name__="`+c.series+"}"]; !there || got != c.want {
			t.Errorf("%s: %v (there: %v), want %v", c.series, got, there, c.want)
		}
	}
	if types["stormctl_response_seconds"] != "summary" || types["stormctl_requests"] != "counter" {
		t.Errorf("types: %v", types)
	}
}
