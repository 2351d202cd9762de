package result

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/judge"
)

func TestNamesAreEachAnother(t *testing.T) {
	got := Names([]judge.Verdict{
		{Kind: "breaker", Name: "breaker: link a, route b"}, {Kind: "retry"}, {Kind: "breaker", Name: "breaker: link a, route b"},
		{Kind: "retry", Name: "mine"}, {Kind: "retry"}, {Kind: "retry"}, {},
	})
	want := []string{"breaker: link a, route b", "retry", "breaker: link a, route b (2)", "mine", "retry (2)", "retry (3)", "claim"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	// One that looks as if it was numbered is not taken twice.
	got = Names([]judge.Verdict{{Name: "a"}, {Name: "a (2)"}, {Name: "a"}})
	if diff := cmp.Diff([]string{"a", "a (2)", "a (3)"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
