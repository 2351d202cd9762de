// Command benchmarks measures stormctl's relay beside its peers (haproxy,
// toxiproxy; each that is installed), in turns in front of the same nginx, and
// prints medians: what a small GET on a kept connection costs the relay, what
// it adds to one at a low rate, and how fast a large body passes.
//
// CPU time is what the kernel counts for the relay's process; requests are
// counted by wrk.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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

// measurement is one relay once; what was not measured is zero.
type measurement struct {
	cpu    float64 // µs per request
	rate   float64 // requests per second
	p50    float64 // µs, at a low rate
	stream float64 // MiB per second
	copied float64 // µs of CPU per KiB of the stream
}

func (m measurement) String() string {
	return fmt.Sprintf("%6.2f us/request  %7.0f/s  p50 %6.1f us  stream %5.0f MiB/s (%.2f us/KiB)", m.cpu, m.rate, m.p50, m.stream, m.copied)
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-relay")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := startNginx(ctx, dir, o.stream)
	if err != nil {
		return err
	}
	defer server.stop()
	var relays []*relay
	defer func() {
		for _, r := range relays {
			r.stop()
		}
	}()
	for _, p := range peers(o) {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), p.name) {
			continue
		}
		r, err := p.start(ctx, dir, server.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if r == nil {
			fmt.Fprintf(os.Stderr, "%s is not installed: left out\n", p.name)
			continue
		}
		r.name = p.name
		relays = append(relays, r)
	}
	results := make([][]measurement, len(relays))
	for round := range o.rounds {
		for i := range relays {
			k := (i + round) % len(relays) // nobody is always first
			m, err := measure(ctx, o, relays[k])
			if err != nil {
				return fmt.Errorf("%s: %w", relays[k].name, err)
			}
			results[k] = append(results[k], m)
			fmt.Fprintf(os.Stderr, "round %d of %d: %-16s %s\n", round+1, o.rounds, relays[k].name, m)
		}
	}
	printTable(o, relays, results)
	return nil
}

func measure(ctx context.Context, o options, r *relay) (measurement, error) {
	var m measurement
	if o.duration > 0 && r.pid > 0 {
		before, err := cpuTime(r.pid)
		if err != nil {
			return m, err
		}
		requests, rate, err := wrk(ctx, r.addr, o.conns, o.duration)
		if err != nil {
			return m, err
		}
		after, err := cpuTime(r.pid)
		if err != nil {
			return m, err
		}
		m.cpu, m.rate = float64((after-before).Microseconds())/requests, rate
	}
	if o.probes > 0 {
		p50, err := probe(r.addr, o.probes, 2*time.Millisecond)
		if err != nil {
			return m, err
		}
		m.p50 = float64(p50.Nanoseconds()) / 1e3
	}
	if o.stream > 0 {
		var before, after time.Duration
		var err error
		if r.pid > 0 {
			if before, err = cpuTime(r.pid); err != nil {
				return m, err
			}
		}
		if m.stream, err = download(ctx, r.addr, o.stream); err != nil {
			return m, err
		}
		if r.pid > 0 {
			if after, err = cpuTime(r.pid); err != nil {
				return m, err
			}
		}
		m.copied = float64((after - before).Microseconds()) / float64(o.stream>>10)
	}
	return m, nil
}

// printTable prints the medians, and the medians of the ratios within each
// round to those that set the bar: what slows the machine for a while slows
// both.
func printTable(o options, relays []*relay, results [][]measurement) {
	fmt.Printf("\nsmall GETs of wrk on %d kept connections for %v; one GET every 2 ms; a body of %d MiB by curl: medians of %d alternating rounds\n\n",
		o.conns, o.duration, o.stream>>20, o.rounds)
	index := func(name string) int {
		return slices.IndexFunc(relays, func(r *relay) bool { return r.name == name })
	}
	direct := index("direct")
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "relay\tCPU us/request\tx toxiproxy\tx haproxy tcp\tx haproxy http\trequests/s\tadded p50 us\tstream MiB/s\tx haproxy tcp\tus/KiB\t")
	for i, r := range relays {
		ms := results[i]
		of := func(f func(measurement) float64, verb string) string {
			if v := median(ms, f); v > 0 {
				return fmt.Sprintf(verb, v)
			}
			return "-"
		}
		times := func(bar string, f func(measurement) float64) string {
			k := index(bar)
			if k < 0 || median(ms, f) == 0 || median(results[k], f) == 0 {
				return "-"
			}
			return fmt.Sprintf("%.2f", ratio(ms, results[k], f))
		}
		cpu := func(m measurement) float64 { return m.cpu }
		stream := func(m measurement) float64 { return m.stream }
		added := "-"
		if direct >= 0 && i != direct && o.probes > 0 {
			added = fmt.Sprintf("%.1f", difference(ms, results[direct], func(m measurement) float64 { return m.p50 }))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, of(cpu, "%.2f"),
			times("toxiproxy", cpu), times("haproxy tcp", cpu), times("haproxy http", cpu),
			of(func(m measurement) float64 { return m.rate }, "%.0f"), added,
			of(stream, "%.0f"), times("haproxy tcp", stream), of(func(m measurement) float64 { return m.copied }, "%.3f"))
	}
	_ = w.Flush()
	printBudgets(o, relays, results)
}

// printBudgets says how what was measured stands to what was promised.
func printBudgets(o options, relays []*relay, results [][]measurement) {
	of := func(name string) []measurement {
		for i, r := range relays {
			if r.name == name {
				return results[i]
			}
		}
		return nil
	}
	say := func(what string, measured, budget float64, most bool) {
		verdict := "met"
		if most && measured > budget || !most && measured < budget {
			verdict = "MISSED"
		}
		fmt.Printf("%-7s %s: %.2f, promised %.2f\n", verdict, what, measured, budget)
	}
	fmt.Println()
	cpu := func(m measurement) float64 { return m.cpu }
	for _, b := range []struct {
		ours, peer string
		most       float64
	}{
		{"stormctl tcp", "toxiproxy", 0.6}, {"stormctl tcp", "haproxy tcp", 1.1}, {"stormctl http1", "haproxy http", 1.1},
	} {
		if ours, peer := of(b.ours), of(b.peer); o.duration > 0 && ours != nil && peer != nil {
			say(fmt.Sprintf("CPU of %s x %s", b.ours, b.peer), ratio(ours, peer, cpu), b.most, true)
		}
	}
	ours := of("stormctl tcp")
	if peer := of("haproxy tcp"); o.stream > 0 && ours != nil && peer != nil {
		say("stream rate of stormctl tcp x haproxy tcp", ratio(ours, peer, func(m measurement) float64 { return m.stream }), 0.9, false)
	}
	if direct := of("direct"); o.probes > 0 && ours != nil && direct != nil {
		say("p50 that stormctl tcp adds, in us", difference(ours, direct, func(m measurement) float64 { return m.p50 }), 100, true)
	}
}

func median(ms []measurement, f func(measurement) float64) float64 {
	values := make([]float64, len(ms))
	for i, m := range ms {
		values[i] = f(m)
	}
	return middle(values)
}

func ratio(a, b []measurement, f func(measurement) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i]) / f(b[i])
	}
	return middle(values)
}

func difference(a, b []measurement, f func(measurement) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i]) - f(b[i])
	}
	return middle(values)
}

func middle[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
