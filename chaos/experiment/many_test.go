package experiment

import (
	"fmt"
	"strings"
	"testing"
)

// An experiment has up to MaxEvents events, of which all may be in force at a time on
// one link; more are refused with their place.
func TestManyEvents(t *testing.T) {
	text := func(n int) []byte {
		var b strings.Builder
		b.WriteString("name: shop\n" +
			"targets: {web: {process: {command: [./web]}}, bank: {reference: dependency}}\n" +
			"links: {pay: {from: web, to: bank}}\n" +
			"load: {rate: 50/s, duration: 30s, routes: [{name: buy, to: web, get: /buy}]}\n" +
			"chaos:\n")
		for range n {
			b.WriteString("  - {at: 5s, for: 1s, on: pay, errors: {status: 503}}\n")
		}
		b.WriteString("claims: [{steady: {success: 99%}}]\n")
		return []byte(b.String())
	}
	if x, err := Parse("FILE", text(1000), references); err != nil || len(x.Chaos) != 1000 {
		t.Errorf("1,000 events: %v", err)
	}
	_, err := Parse("FILE", text(1001), references)
	want := "FILE:6:3: chaos: has 1001 entries: at most 1000 are read"
	if got := fmt.Sprint(err); got != want {
		t.Errorf("one more: %s, want %s", got, want)
	}
}
