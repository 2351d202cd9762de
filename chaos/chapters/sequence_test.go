package chapters

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

func TestSequence(t *testing.T) {
	s := func(n int) evidence.Seconds { return evidence.Seconds(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		numbers []int // each is 60 s long
		end     int   // in seconds; 0 is not known
		gaps    []evidence.Gap
		want    string
	}{
		"all":                       {[]int{1, 2, 3}, 180, nil, ""},
		"ended within a second":     {[]int{1, 2, 3}, 181, nil, ""},
		"none":                      {nil, 60, nil, "the chapters from 0s on are missing"},
		"the first":                 {[]int{2, 3}, 180, nil, "chapter 1 is missing"},
		"two in the middle":         {[]int{1, 4}, 240, nil, "chapters 2 to 3 are missing"},
		"the last":                  {[]int{1, 2}, 180, nil, "the chapters from 2m on are missing"},
		"the last, still under way": {[]int{1, 2}, 0, nil, ""},
		"gone over its end":         {[]int{1, 2}, 600, []evidence.Gap{{From: s(120), To: s(600)}}, ""},
		"a gap and more":            {[]int{1, 2}, 600, []evidence.Gap{{From: s(120), To: s(300)}}, "the chapters from 5m on are missing"},
	} {
		var chapters Sequence
		for _, n := range c.numbers {
			chapters.Add(&Entry{Number: n, From: s(60 * (n - 1)), To: s(60 * n)})
		}
		if got := chapters.Missing(time.Duration(c.end)*time.Second, c.gaps); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
