package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

func TestErrorText(t *testing.T) {
	invalid := strict.Errors{{File: "a.yaml", Line: 2, Column: 3, Problem: "p"}, {File: "a.yaml", Line: 4, Column: 5, Problem: "q", Hint: "h"}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "stormctl: plain"},
		{errors.Join(errors.New("one"), errors.New("two")), "stormctl: one\n  two"},
		{errors.New("target said \x1b[2J\x07"), `stormctl: target said \x1b[2J\x07`},
		{fmt.Errorf("run a.yaml: %w", invalid), "a.yaml:2:3: p\na.yaml:4:5: q: h"}, // editors read it
	} {
		if got := errorText(c.err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
