package link

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestRunCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		type change struct {
			At time.Duration
			On bool
		}
		var got []change
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		runCycle(ctx, toxic.Cycle{On: 2 * time.Second, Off: 3 * time.Second}, start, func(on bool) { got = append(got, change{time.Since(start), on}) })
		want := []change{{2 * time.Second, false}, {5 * time.Second, true}, {7 * time.Second, false}, {10 * time.Second, true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
