package export

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Each metric and label that the dashboard asks for is one that we export.
func TestDashboardAsksForWhatIsExported(t *testing.T) {
	l := newTold("pay")
	l.second(10, 1)
	l.Event(evidence.Event{Kind: evidence.KindInject, Fault: 1})
	exported := map[string]map[string]bool{} // by name, its labels
	for name, f := range familiesOf(t, l.Metrics(), protobuf) {
		labels := map[string]bool{}
		for _, m := range f.Metric {
			for _, p := range m.Label {
				labels[p.GetName()] = true
			}
		}
		exported[name] = labels
		if f.GetMetric()[0].Histogram != nil {
			exported[name+"_bucket"] = map[string]bool{"le": true}
			for label := range labels {
				exported[name+"_bucket"][label] = true
			}
		}
	}
	described := make(chan *prometheus.Desc, 100)
	l.Describe(described)
	if n := len(described); n != len(exported)-1 { // that of the buckets is beside
		t.Errorf("%d metrics are described, and %d exported", n, len(exported)-1)
	}

	text, err := os.ReadFile("../../reports/grafana/stormctl.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels      []struct{ Targets []struct{ Expr string } }
		Annotations struct{ List []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			queries = append(queries, q.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		queries = append(queries, a.Expr)
	}
	if len(queries) < 15 {
		t.Fatalf("%d queries", len(queries))
	}
	asked := map[string]bool{}
	metric := regexp.MustCompile(`stormctl_\w+`)
	label := regexp.MustCompile(`(?:by|on|group_left) ?\(([^)]*)\)|\{([^}]*)\}`)
	for _, q := range queries {
		has := map[string]bool{}
		for _, name := range metric.FindAllString(q, -1) {
			asked[strings.TrimSuffix(name, "_bucket")] = true
			if exported[name] == nil {
				t.Errorf("%s asks for %s, which is not exported", q, name)
			}
			maps.Copy(has, exported[name])
		}
		for _, found := range label.FindAllStringSubmatch(q, -1) {
			for part := range strings.SplitSeq(found[1]+found[2], ",") {
				if name := strings.TrimSpace(regexp.MustCompile(`[!=]`).Split(part, 2)[0]); name != "" && !has[name] {
					t.Errorf("%s asks for the label %s, which its metrics do not have", q, name)
				}
			}
		}
	}
	for name := range exported {
		if name = strings.TrimSuffix(name, "_bucket"); !asked[name] {
			t.Errorf("the dashboard shows nothing of %s", name)
		}
	}
}
