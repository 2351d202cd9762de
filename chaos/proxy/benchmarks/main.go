// Command benchmarks measures stormctl's relay beside its peers (haproxy,
// toxiproxy; each that is installed), in turns in front of the same nginx, and
// prints medians: what a small GET on a kept connection costs the relay, what
// it adds to one at a low rate, and how fast a large body passes.
//
// CPU time is what the kernel counts for the relay's process; requests are
// counted by wrk.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

func main() {
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 5, "alternating rounds")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "of each measurement with wrk, in whole seconds")
	flag.IntVar(&o.conns, "connections", 64, "of wrk")
	flag.Int64Var(&o.stream, "stream", 1<<30, "bytes of the large body; 0 leaves it out")
	flag.IntVar(&o.probes, "probes", 1000, "requests at a low rate (one every 2 ms); 0 leaves them out")
	flag.StringVar(&o.toxiproxy, "toxiproxy", "toxiproxy-server", "toxiproxy's server; left out if there is none")
	flag.StringVar(&o.only, "only", "", "relays to measure, by name, separated by commas; all that are installed if empty")
	flag.StringVar(&o.profile, "profile", "", "CPU profiles of our relays go to PREFIX.NAME")
	relay := flag.String("relay", "", "run as a relay of this protocol in front of -upstream instead")
	upstream := flag.String("upstream", "", "host:port")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *relay != "" {
		err = serve(ctx, *relay, *upstream, o.profile)
	} else {
		err = run(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds, conns, probes    int
	duration                 time.Duration
	stream                   int64
	toxiproxy, only, profile string
}

// What is measured of a relay; what was not is zero.
const (
	cpu    = iota // µs per request
	rate          // requests per second
	p50           // µs, at a low rate
	stream        // MiB per second
	copied        // µs of CPU per KiB of the stream
	metrics
)

func text(m bench.Measurement) string {
	return fmt.Sprintf("%6.2f us/request  %7.0f/s  p50 %6.1f us  stream %5.0f MiB/s (%.2f us/KiB)",
		m[cpu], m[rate], m[p50], m[stream], m[copied])
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-relay")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := bench.StartNginx(ctx, dir, o.stream)
	if err != nil {
		return err
	}
	defer server.Stop()
	var relays []*relay
	var names []string
	defer func() {
		for _, r := range relays {
			r.Stop()
		}
	}()
	chosen, err := choose(peers(o), o.only)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		r, err := p.start(ctx, dir, server.Addr)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if r == nil {
			fmt.Fprintf(os.Stderr, "%s is not installed: left out\n", p.name)
			continue
		}
		r.name = p.name
		relays, names = append(relays, r), append(names, p.name)
	}
	results, err := bench.Rounds(o.rounds, "", names, func(i int) (bench.Measurement, error) { return measure(ctx, o, relays[i]) }, text)
	if err != nil {
		return err
	}
	printTable(o, relays, results)
	return nil
}

// choose returns the peers that only names, all if it is empty.
func choose(all []peer, only string) ([]peer, error) {
	if only == "" {
		return all, nil
	}
	var chosen []peer
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(p peer) bool { return p.name == name })
		if i < 0 {
			names := unit.List(all, ", ", func(p peer) string { return p.name })
			return nil, fmt.Errorf("-only %s: no such relay: there are %s", name, names)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func measure(ctx context.Context, o options, r *relay) (bench.Measurement, error) {
	m := make(bench.Measurement, metrics)
	if o.duration > 0 && r.Cmd != nil {
		var requests float64
		used, err := r.cpuTimeOf(func() (err error) {
			requests, m[rate], err = wrk(ctx, r.Addr, o.conns, o.duration)
			return err
		})
		if err != nil {
			return m, err
		}
		m[cpu] = float64(used.Microseconds()) / requests
	}
	if o.probes > 0 {
		took, err := probe(r.Addr, o.probes, 2*time.Millisecond)
		if err != nil {
			return m, err
		}
		m[p50] = float64(took.Nanoseconds()) / 1e3
	}
	if o.stream > 0 {
		used, err := r.cpuTimeOf(func() (err error) {
			m[stream], err = download(ctx, r.Addr, o.stream)
			return err
		})
		if err != nil {
			return m, err
		}
		m[copied] = float64(used.Microseconds()) / float64(o.stream>>10)
	}
	return m, nil
}

// printTable prints the medians, and the medians of the ratios within each
// round to those that set the bar.
func printTable(o options, relays []*relay, results [][]bench.Measurement) {
	fmt.Printf("\nsmall GETs of wrk on %d kept connections for %v; one GET every 2 ms; a body of %d MiB by curl:"+
		" medians of %d alternating rounds\n\n",
		o.conns, o.duration, o.stream>>20, o.rounds)
	of := func(name string) []bench.Measurement {
		if i := slices.IndexFunc(relays, func(r *relay) bool { return r.name == name }); i >= 0 {
			return results[i]
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "relay\tCPU us/request\tx toxiproxy\tx haproxy tcp\tx haproxy http\trequests/s\t"+
		"added p50 us\tstream MiB/s\tx haproxy tcp\tus/KiB\t")
	for i, r := range relays {
		ms := results[i]
		median := func(metric int, verb string) string {
			if v := bench.Median(ms, metric); v > 0 {
				return fmt.Sprintf(verb, v)
			}
			return "-"
		}
		times := func(bar string, metric int) string {
			other := of(bar)
			if other == nil || bench.Median(ms, metric) == 0 || bench.Median(other, metric) == 0 {
				return "-"
			}
			return fmt.Sprintf("%.2f", bench.Ratio(ms, other, metric))
		}
		added := "-"
		if direct := of("direct"); direct != nil && r.Cmd != nil && o.probes > 0 {
			added = fmt.Sprintf("%.1f", bench.Difference(ms, direct, p50))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, median(cpu, "%.2f"),
			times("toxiproxy", cpu), times("haproxy tcp", cpu), times("haproxy http", cpu), median(rate, "%.0f"), added,
			median(stream, "%.0f"), times("haproxy tcp", stream), median(copied, "%.3f"))
	}
	_ = w.Flush()
	printBudgets(o, of)
}

// printBudgets says how what was measured stands to what was promised.
func printBudgets(o options, of func(name string) []bench.Measurement) {
	say := func(what string, measured, budget float64, most bool) {
		verdict := "met"
		if most && measured > budget || !most && measured < budget {
			verdict = "MISSED"
		}
		fmt.Printf("%-7s %s: %.2f, promised %.2f\n", verdict, what, measured, budget)
	}
	fmt.Println()
	for _, b := range []struct {
		ours, peer string
		most       float64
	}{
		{"stormctl tcp", "toxiproxy", 0.6}, {"stormctl tcp", "haproxy tcp", 1.1}, {"stormctl http1", "haproxy http", 1.1},
	} {
		if ours, peer := of(b.ours), of(b.peer); o.duration > 0 && ours != nil && peer != nil {
			say(fmt.Sprintf("CPU of %s x %s", b.ours, b.peer), bench.Ratio(ours, peer, cpu), b.most, true)
		}
	}
	ours := of("stormctl tcp")
	if peer := of("haproxy tcp"); o.stream > 0 && ours != nil && peer != nil {
		say("stream rate of stormctl tcp x haproxy tcp", bench.Ratio(ours, peer, stream), 0.9, false)
	}
	if direct := of("direct"); o.probes > 0 && ours != nil && direct != nil {
		say("p50 that stormctl tcp adds, in us", bench.Difference(ours, direct, p50), 100, true)
	}
}
