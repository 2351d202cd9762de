package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/gameday"
)

var (
	numbers  = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?`)
	extremes = []string{"0", "-1", "1e9", "-1e9", "9223372036854775807", "-9223372036854775808", "1e300", "-1e300", "18446744073709551615", "1e-300", "4294967296"}
)

// Numbers in a run directory that somebody handed on are whatever they like: it is ruled
// on, or refused, in no time and little memory, without a panic.
func TestExtremeNumbersOfOthers(t *testing.T) {
	plain := runDir(t, 300, 100, allClaims, true)
	data := dataDir(t, 3, 60)
	for seed := range 4 * *damages {
		rng := rand.New(rand.NewPCG(uint64(seed), 5))
		dir := []string{plain, data}[seed%2]
		file := []string{evidence.TimelineFile, evidence.TimelineFile, evidence.SamplesFile, evidence.ValuesFile}[rng.IntN(4)]
		path := filepath.Join(dir, file)
		whole, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all := numbers.FindAllStringIndex(string(whole), -1)
		at, with := all[rng.IntN(len(all))], extremes[rng.IntN(len(extremes))]
		how := fmt.Sprintf("seed %d: %s: %q at %d is %s", seed, file, whole[max(0, at[0]-30):at[1]], at[0], with)
		if err := os.WriteFile(path, []byte(string(whole[:at[0]])+with+string(whole[at[1]:])), 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan string, 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					buf := make([]byte, 4096)
					done <- fmt.Sprintf("panic: %v\n%s", p, buf[:runtime.Stack(buf, false)])
				}
			}()
			_, _ = Judge(dir)
			_, _, _ = gameday.Export(dir)
			done <- ""
		}()
		select {
		case why := <-done:
			if why != "" {
				t.Errorf("%s: %s", how, why)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: no end", how)
		}
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 200<<20 {
			t.Errorf("%s: it took %d MiB", how, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
