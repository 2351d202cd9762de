package reports

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// OpenMetrics writes the result as OpenMetrics 1.0 text, in base units: seconds,
// and ratios from 0 to 1. Labels name what was measured and hold no figure, seed or
// id, so that a series goes on from run to run. Numbers of claims keep the names
// and units that they have in result.json.
func OpenMetrics(w io.Writer, r *result.Result) error {
	m := metrics{experiment: r.Name}
	m.run(r)
	m.claims(r)
	m.routes(r)
	m.links(r)
	m.faults(r)
	m.harness(&r.Harness)
	m.out.WriteString("# EOF\n")
	_, err := w.Write(m.out.Bytes())
	return err
}

// metrics is a text being written.
type metrics struct {
	out        bytes.Buffer
	experiment string
}

// family opens a family of metrics: all that follows until the next is of it.
func (m *metrics) family(name, kind, help string) {
	fmt.Fprintf(&m.out, "# TYPE %s %s\n", name, kind)
	if i := strings.LastIndexByte(name, '_'); slices.Contains([]string{"seconds", "ratio"}, name[i+1:]) {
		fmt.Fprintf(&m.out, "# UNIT %s %s\n", name, name[i+1:])
	}
	fmt.Fprintf(&m.out, "# HELP %s %s\n", name, help)
}

// sample writes a value with pairs of label and foreign value.
func (m *metrics) sample(name string, value float64, labels ...string) {
	m.out.WriteString(name + `{experiment="` + labelValue(m.experiment) + `"`)
	for i := 0; i < len(labels); i += 2 {
		m.out.WriteString("," + labels[i] + `="` + labelValue(labels[i+1]) + `"`)
	}
	m.out.WriteString("} " + strconv.FormatFloat(value, 'g', 15, 64) + "\n")
}

// labelValue is foreign text between quotes.
func labelValue(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(Clean(text))
}

// gauge is a family of one sample.
func (m *metrics) gauge(name, help string, value float64) {
	m.family(name, "gauge", help)
	m.sample(name, value)
}

// spread is a summary's samples: quantile 1 is the largest.
func (m *metrics) spread(name string, s result.Spread, labels ...string) {
	for _, q := range []struct {
		of string
		ms float64
	}{{"0.5", s.P50}, {"0.9", s.P90}, {"0.99", s.P99}, {"0.999", s.P999}, {"1.0", s.Max}} {
		m.sample(name, q.ms/1000, append(slices.Clip(labels), "quantile", q.of)...)
	}
}

func bit(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

// ruling writes a sample for each ruling, of which one is 1.
func (m *metrics) ruling(name string, ruling judge.Ruling, labels ...string) {
	for _, one := range []judge.Ruling{judge.Held, judge.Inconclusive, judge.Refuted} {
		m.sample(name, bit(one == ruling), append(slices.Clip(labels), "ruling", one.String())...)
	}
}

func (m *metrics) run(r *result.Result) {
	m.gauge("stormctl_run_duration_seconds", "How long the run took.", r.Seconds)
	m.gauge("stormctl_run_partial", "1 if the run ended before its time.", bit(r.Partial))
	m.family("stormctl_run_ruling", "gauge", "1 for the ruling over all claims.")
	m.ruling("stormctl_run_ruling", r.Ruling)
}

func (m *metrics) claims(r *result.Result) {
	names := claimNames(r)
	m.family("stormctl_claim_ruling", "gauge", "1 for the ruling on the claim.")
	for i, v := range r.Verdicts {
		m.ruling("stormctl_claim_ruling", v.Ruling, "claim", names[i], "kind", v.Kind)
	}
	m.family("stormctl_claim_number", "gauge", "What was measured for the claim; the number's name ends in its unit.")
	for i, v := range r.Verdicts {
		seen := map[string]bool{}
		for _, n := range v.Numbers {
			if name := Clean(n.Name); !seen[name] {
				seen[name] = true
				m.sample("stormctl_claim_number", n.Value, "claim", names[i], "number", name)
			}
		}
	}
}

func (m *metrics) routes(r *result.Result) {
	m.family("stormctl_requests", "counter", "Requests of the load, by how they ended.")
	for _, route := range r.Routes {
		for _, outcome := range slices.Sorted(maps.Keys(route.Outcomes)) {
			m.sample("stormctl_requests_total", float64(route.Outcomes[outcome]), "route", route.Name, "outcome", outcome)
		}
	}
	m.family("stormctl_success_ratio", "gauge", "Share of the requests that ended well.")
	for _, route := range r.Routes {
		m.sample("stormctl_success_ratio", route.Success/100, "route", route.Name)
	}
	m.family("stormctl_response_seconds", "summary", "From when a request was due until it was done.")
	for _, route := range r.Routes {
		m.spread("stormctl_response_seconds", route.Response, "route", route.Name)
	}
	m.family("stormctl_service_seconds", "summary", "From when a request was sent until it was done.")
	for _, route := range r.Routes {
		m.spread("stormctl_service_seconds", route.Service, "route", route.Name)
	}
}

func (m *metrics) links(r *result.Result) {
	m.family("stormctl_exchanges", "counter", "Exchanges at a link, by how they ended.")
	for _, link := range r.Links {
		for _, ending := range slices.Sorted(maps.Keys(link.Endings)) {
			m.sample("stormctl_exchanges_total", float64(link.Endings[ending]), "link", link.Name, "ending", ending)
		}
	}
	m.family("stormctl_exchange_seconds", "summary", "How long exchanges at a link took.")
	for _, link := range r.Links {
		m.spread("stormctl_exchange_seconds", link.Duration, "link", link.Name)
	}
	m.family("stormctl_in_flight_max", "gauge", "The most exchanges that were under way at a link.")
	for _, link := range r.Links {
		m.sample("stormctl_in_flight_max", float64(link.InFlight), "link", link.Name)
	}
}

// faults adds up what several of one name and place have hit: a label set may be
// there once.
func (m *metrics) faults(r *result.Result) {
	type fault struct{ name, on string }
	var order []fault
	hits := map[fault]uint64{}
	for _, f := range r.Faults {
		is := fault{f.Name, f.On}
		if _, known := hits[is]; !known {
			order = append(order, is)
		}
		hits[is] += f.Hit
	}
	m.family("stormctl_fault_hits", "counter", "Exchanges that a fault hit; of what is not a link's own, 1 when it was done.")
	for _, is := range order {
		m.sample("stormctl_fault_hits_total", float64(hits[is]), "fault", is.name, "on", is.on)
	}
}

// harness leaves out what is not known.
func (m *metrics) harness(h *result.Harness) {
	m.gauge("stormctl_harness_healthy", "1 if the harness was well.", bit(h.Healthy))
	m.family("stormctl_arrivals", "counter", "Arrivals that were due, by whether they were sent.")
	m.sample("stormctl_arrivals_total", float64(h.Sent), "sent", "true")
	m.sample("stormctl_arrivals_total", float64(h.Unsent), "sent", "false")
	m.family("stormctl_send_lag_seconds", "summary", "From when a request was due until it was sent.")
	m.spread("stormctl_send_lag_seconds", h.SendLag)
	m.gauge("stormctl_harness_cpu_cores", "Cores that the harness used on average.", h.CPU)
	if h.Pressure >= 0 {
		m.gauge("stormctl_cpu_pressure_ratio", "The part of the worst second in which some thread waited for a core.", h.Pressure)
	}
}
