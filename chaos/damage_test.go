package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

var damages = flag.Int("damages", 20, "how often records of a run are removed, repeated and exchanged at random")

// TestDamagedRunsAreNotRuledOn: with records gone, there again or exchanged at random in
// ten runs, nothing is held or refuted, and each claim names the file and the second.
// Whole runs are ruled on, with the sums of their files and without.
func TestDamagedRunsAreNotRuledOn(t *testing.T) {
	const seconds = 6
	var dirs []string
	for k := range 10 {
		rate := 100 + 20*k
		for _, sums := range []bool{false, true} {
			dir := runDir(t, seconds*rate, rate, allClaims, sums)
			r, err := Judge(dir)
			if err != nil {
				t.Fatal(err)
			}
			ruled := func(as judge.Ruling) bool {
				return slices.ContainsFunc(r.Verdicts, func(v judge.Verdict) bool { return v.Ruling == as })
			}
			if !ruled(judge.Held) || !ruled(judge.Refuted) || r.Harness.Lost > 0 {
				t.Fatalf("%d/s, sums %v, whole: lost %d, %+v", rate, sums, r.Harness.Lost, r.Verdicts)
			}
			if sums {
				dirs = append(dirs, dir)
			}
		}
	}
	for seed := range *damages {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		dir := dirs[seed%len(dirs)]
		file := []string{evidence.FrontFile, evidence.BehindFile("bank")}[rng.IntN(2)]
		path := filepath.Join(dir, file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, how := damaged(string(whole), rng)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Judge(dir)
		if err != nil {
			t.Fatalf("seed %d, %s: %v", seed, how, err)
		}
		for _, v := range r.Verdicts {
			if v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, file) || !strings.Contains(v.Reason, ", the first between ") {
				t.Errorf("seed %d, %s, %s: %s %s: %s", seed, file, how, v.Kind, v.Ruling, v.Reason)
			}
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// damaged is a file of records with some of them removed, repeated or exchanged.
func damaged(text string, rng *rand.Rand) (damaged, how string) {
	rows := strings.SplitAfter(text, "\n")
	rows = rows[:len(rows)-1]
	i := 1 + rng.IntN(len(rows)-2)
	j := i + 1 + rng.IntN(len(rows)-i-1)
	switch rng.IntN(3) {
	case 0:
		rows, how = slices.Delete(rows, i, j), fmt.Sprintf("rows %d to %d removed", i, j)
	case 1:
		rows, how = slices.Insert(rows, j, rows[i]), fmt.Sprintf("row %d again as %d", i, j)
	default:
		rows[i], rows[j] = rows[j], rows[i]
		how = fmt.Sprintf("rows %d and %d exchanged", i, j)
	}
	return strings.Join(rows, ""), how
}
