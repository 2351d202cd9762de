package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// What callers of each region got stands beside the routes, where there are regions, and
// nowhere else.
func TestRegionsAreShown(t *testing.T) {
	for format, table := range map[string]string{
		"text": "Regions: what", "markdown": "| region |", "html": "Regions: what", "json": `"regions": [`,
	} {
		r := breakerRun(judge.Held)
		render := func() string {
			var out bytes.Buffer
			if err := Render(&out, format, r); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		if strings.Contains(render(), table) {
			t.Errorf("%s: a run without regions speaks of them", format)
		}
		r.Regions = []result.Route{
			{Name: "eu-west", Requests: 1234, Success: 98.76, Outcomes: map[string]uint64{"ok": 1219, "5xx": 15}},
			{Name: "us", Requests: 77, Success: 100, Outcomes: map[string]uint64{"ok": 77}},
		}
		got := render()
		for _, want := range []string{table, "eu-west", "98.76", "5xx"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q", format, want)
			}
		}
	}
}
