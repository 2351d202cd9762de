package evidence

import (
	"strings"
	"testing"
	"time"
)

// What a disk could not take and what was edited since are told apart.
func TestLossSaysWhoseItIs(t *testing.T) {
	for _, c := range []struct {
		lost       map[string]uint64
		want, none string
	}{
		{map[string]uint64{lostByRun: 3}, "3 records of requests were lost, because the disk", "changed since"},
		{map[string]uint64{"evidence/front.csv": 2}, "2 records are not as the run counted them, because files were changed since", "disk"},
	} {
		r := &Run{End: time.Second, Lost: c.lost}
		problems := r.Problems(0, r.End)
		if len(problems) != 1 || !strings.Contains(problems[0].Text, c.want) || strings.Contains(problems[0].Text, c.none) {
			t.Errorf("of %v: %v; want %q, without %q", c.lost, problems, c.want, c.none)
		}
	}
}
