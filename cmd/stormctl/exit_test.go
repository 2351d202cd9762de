package main

import (
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

func TestExitOf(t *testing.T) {
	one := []judge.Verdict{{}}
	for _, c := range []struct {
		name string
		r    result.Result
		want exitCode
	}{
		{"held", result.Result{Verdicts: one}, 0},
		{"refuted", result.Result{Verdicts: one, Ruling: judge.Refuted}, 1},
		{"inconclusive", result.Result{Verdicts: one, Ruling: judge.Inconclusive}, 3},
		{"stopped, though all held", result.Result{Verdicts: one, Partial: true}, 4},
		{"stopped, though refuted", result.Result{Verdicts: one, Partial: true, Ruling: judge.Refuted}, 4},
		{"nothing claimed", result.Result{}, 3},
	} {
		if got := exitOf(&c.r); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// The order that run --help states: 2 before 4 before 1 before 3 before 0.
func TestWorse(t *testing.T) {
	order := []exitCode{0, 3, 1, 4, 2}
	for i, a := range order {
		for j, b := range order {
			if got, want := worse(a, b), order[max(i, j)]; got != want {
				t.Errorf("worse(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
}
