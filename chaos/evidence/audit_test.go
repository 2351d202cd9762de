package evidence

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/load"
)

func TestAuditMoved(t *testing.T) {
	number := func(x float64) *Audit { return &Audit{Number: &x} }
	ids := func(list ...uint64) *Audit { return &Audit{IDs: list} }
	for name, c := range map[string]struct {
		first, again *Audit
		says         string
	}{
		"the same number":  {number(7), number(7), ""},
		"another number":   {number(7), number(7.5), "it found 7, and 7.5 when"},
		"no number":        {number(7), ids(), "it found 7, and none when"},
		"the same ids":     {ids(1, 2, 2), ids(2, 1, 2), ""},
		"one more":         {ids(1, 2), ids(1, 2, 3), "1 of its entries were new, and 0 gone"},
		"one again":        {ids(1, 2), ids(1, 2, 2), "1 of its entries were new, and 0 gone"},
		"one for another":  {ids(1, 2), ids(1, 3), "1 of its entries were new, and 1 gone"},
		"others' entries":  {ids(1, load.ForeignValue), ids(1, load.ForeignValue, load.ForeignValue), ""},
		"nothing to begin": {ids(), ids(), ""},
	} {
		if says := c.first.MovedTo(c.again); !strings.Contains(says, c.says) || (says == "") != (c.says == "") {
			t.Errorf("%s: %q, want %q", name, says, c.says)
		}
	}
}

func TestAuditShuffled(t *testing.T) {
	other := load.ForeignValue
	for name, c := range map[string]struct {
		first, again []uint64
		want         bool
	}{
		"the same":                 {[]uint64{1, 2, 1}, []uint64{1, 2, 1}, false},
		"another order":            {[]uint64{1, 2, 1}, []uint64{1, 1, 2}, true},
		"others' in another order": {[]uint64{1, other, 2}, []uint64{other, 1, 2, other}, false},
		"nothing":                  {nil, nil, false},
	} {
		first := &Audit{IDs: c.first}
		if got := first.ShuffledIn(&Audit{IDs: c.again}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
