package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

// What holds means: of what was offered, so much was achieved, without an error,
// and half of the callers waited no longer than this.
const (
	achieved = 0.995
	patience = 2.0 // ms
)

// highest searches in each round for the highest rate that stormctl's open model
// holds, in steps of 5% of wrk's flat-out rate just before, and prints the median
// of the ratios. The load and its target share the machine.
func highest(ctx context.Context, s setup, stormctl string, rounds int) error {
	var ratios, rates []float64
	for round := range rounds {
		flat, err := measure(ctx, s, wrk(2))
		if err != nil {
			return err
		}
		sustained := 0
		for low, high := 10, 41; low < high; { // in twentieths: 0.50 to 2.00
			middle := (low + high) / 2
			offered := int(flat[rate] * float64(middle) / 20)
			r, err := offer(ctx, s, stormctl, offered)
			if err != nil {
				return err
			}
			ok := r.Outcomes["ok"] == r.Requests && r.Unsent == 0 && r.Rate >= achieved*float64(offered) && r.Response.P50 <= patience
			fmt.Fprintf(os.Stderr, "highest round %d of %d: %d/s, %.2f x wrk's %.0f/s: %.0f/s achieved, p50 %.3f ms, %d not ok: holds %v\n",
				round+1, rounds, offered, float64(middle)/20, flat[rate], r.Rate, r.Response.P50, r.Requests+r.Unsent-r.Outcomes["ok"], ok)
			if ok {
				low, sustained = middle+1, middle
			} else {
				high = middle
			}
		}
		ratios = append(ratios, float64(sustained)/20)
		rates = append(rates, flat[rate]*float64(sustained)/20)
	}
	fmt.Printf("\nhighest rate that holds for %v over TCP: %.0f/s, %.2f x what wrk reaches flat out, medians of %d rounds\n",
		s.duration, bench.Middle(rates), bench.Middle(ratios), rounds)
	return nil
}

func offer(ctx context.Context, s setup, stormctl string, rate int) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, s.duration+time.Minute)
	defer cancel()
	s.rate = rate
	cmd := exec.CommandContext(ctx, stormctl, ours(stormctl, "", false).args(s)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return report{}, err
	}
	return readOurs(string(out))
}
