package experiment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOriginIsWhereTheClaimsStand(t *testing.T) {
	const text = `name: shop
targets: {web: {url: "http://127.0.0.1:8080"}}
load: {rate: 10/s, duration: 10s, routes: [{name: buy, to: web, get: /buy}]}
claims:
  - steady: {success: 99%}

  # the second
  - name: fast
    steady: {p99: 1s}
  - {steady: {p50: 1s}}
`
	for _, c := range []struct {
		set  []string
		want Origin
	}{
		{nil, Origin{"x/shop.yaml", []int{5, 8, 10}}},
		{[]string{"claims[1].steady.p99=2s"}, Origin{"x/shop.yaml", []int{5, 8, 10}}},
		{[]string{"claims=[{steady: {p99: 1s}}]"}, Origin{"x/shop.yaml", []int{0}}},
	} {
		var got Origin
		if _, err := Parse("x/shop.yaml", []byte(text), Options{Set: c.set, Origin: &got}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.set, diff)
		}
	}
}

func TestTitlesHaveNoFigures(t *testing.T) {
	x, err := ReadFile("testdata/good/everything.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range x.Claims {
		got = append(got, c.Title())
	}
	want := []string{
		"steady: route read", "breaker: link calls, route read", "breaker: link calls, route read", "retry: link calls, route read",
		"backoff: link calls, route read", "bulkhead: link calls, route read", "timeout: link calls, route read", "recovery: route read",
		"retry: link calls, link out", "fanout: link calls, link out, route read", "stands: without calls",
		"connections: link raw", "connections: link raw", "stampede: link calls",
		"linearizable: data price", "fresh: data price", "available: data price", "durable: writes price", "failover", "failover: region eu",
		"effects: at calls, at out, route write", "effects: at orders, route write",
		"ordered: at calls, writes price", "drains: at calls, route write", "conserved: audit total, route write", "conserved: audit fold",
		"conserved", "shed: route read", "health: link calls, link out", "skew: link calls, link out, route read", "growth: target started", "growth: route read",
		"slo: route read", "soon.enough_1", "backoff: link calls", "alert",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("titles (-want +got):\n%s", diff)
	}
}
