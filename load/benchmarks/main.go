// Command benchmarks measures stormctl's load engine beside its peers: each
// that is installed (wrk, h2load, ghz, hey, vegeta, bombardier, fortio, k6), in turns
// against the same nginx, or stormctl's own target, and prints medians.
//
// The load of every program is counted by the target, its CPU time and memory by the
// kernel, so that all are measured alike. Latencies are what each program says
// of itself: they do not all count from the same instant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stormctl/stormctl/load/benchmarks/bench"
)

func main() {
	rounds := flag.Int("rounds", 5, "alternating rounds")
	duration := flag.Duration("duration", 5*time.Second, "of each measurement")
	conns := flag.Int("connections", 64, "of each program")
	stormctl := flag.String("stormctl", "", "the program to measure (required)")
	modes := flag.String("modes", "closed,unix,1000,5000,20000",
		"what to measure: closed, unix (closed over a unix socket), tls, h2, h2-tls and grpc (closed as well, HTTP/2 by 8 connections "+
			"with 32 requests each), dependency (4 connections with 100 each at stormctl's own target), rates per second, or highest "+
			"(the highest rate that holds)")
	truths := flag.Bool("truth", false, "instead: what each program says of a target whose behaviour is known")
	only := flag.String("only", "", "programs to measure, by name; all that are installed if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *truths {
		err = truth(ctx, *stormctl, *rounds, *duration, *only)
	} else {
		err = run(ctx, *stormctl, *rounds, *duration, *conns, strings.Split(*modes, ","), *only)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stormctl string, rounds int, duration time.Duration, conns int, modes []string, only string) error {
	if stormctl == "" {
		return errors.New("-stormctl PROGRAM is missing; `make bench-peers` gives it")
	}
	dir, err := os.MkdirTemp("", "bench-peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := bench.StartNginx(ctx, dir, 0)
	if err != nil {
		return err
	}
	defer server.Stop()

	for _, mode := range modes {
		s := setup{target: server, addr: server.Addr, socket: server.Socket, dir: dir, conns: conns, duration: duration}
		if mode == "highest" {
			err = highest(ctx, s, stormctl, rounds)
		} else if err = s.setMode(mode, server); err == nil {
			err = compare(ctx, s, stormctl, rounds, mode, only)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", mode, err)
		}
	}
	return nil
}

// compare measures the programs in one mode and prints their table.
func compare(ctx context.Context, s setup, stormctl string, rounds int, mode, only string) error {
	if s.ours {
		target, err := bench.StartDependency(ctx, stormctl)
		if err != nil {
			return err
		}
		defer target.Stop()
		s.target, s.addr = target, target.Addr
	}
	peers := installed(s, stormctl, only)
	results, err := inRounds(rounds, mode+" ", peers, func(p peer) (bench.Measurement, error) { return measure(ctx, s, p) }, text)
	if err != nil {
		return err
	}
	printTable(s, peers, results, rounds)
	return nil
}

func inRounds(rounds int, label string, peers []peer, measure func(peer) (bench.Measurement, error),
	text func(bench.Measurement) string) ([][]bench.Measurement, error) {
	var names []string
	for _, p := range peers {
		names = append(names, p.name)
	}
	return bench.Rounds(rounds, label, names, func(i int) (bench.Measurement, error) { return measure(peers[i]) }, text)
}

// installed are the programs that are there, wanted, and able to.
func installed(s setup, stormctl, only string) []peer {
	var peers []peer
	for _, p := range allPeers(stormctl) {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) || s.unix && !p.own {
			continue
		}
		if _, err := exec.LookPath(p.program); err == nil && p.args(s) != nil {
			peers = append(peers, p)
		}
	}
	return peers
}

// target is a server that counts what it answers.
type target interface {
	Requests() (int64, error)    // answered so far, but for such questions
	CPU() (time.Duration, error) // that it has taken so far
}

// setup is one thing to measure.
type setup struct {
	target   target
	addr     string // ip:port of the target
	socket   string // of the target as well
	dir      string
	conns    int
	duration time.Duration
	rate     int // 0 is the closed model
	unix     bool
	tls      bool // a certificate signed by itself
	streams  int  // requests at a time on each connection, by HTTP/2; 0 is HTTP/1.1
	grpc     bool // they are calls of bench.Method
	ours     bool // of stormctl's own target, and not of nginx
	name     string
}

// plain reports whether it is HTTP/1.1 without TLS, which all programs can do.
func (s setup) plain() bool { return !s.tls && s.streams == 0 }

// streamed reports whether it is HTTP/2.
func (s setup) streamed() bool { return s.streams > 0 }

// closed reports whether a request is sent as soon as the one before is answered.
func (s setup) closed() bool { return s.rate == 0 }

func (s *setup) setMode(mode string, server *bench.Nginx) error {
	switch mode {
	case "closed":
		s.name = fmt.Sprintf("closed model, %d connections, TCP", s.conns)
	case "unix":
		s.unix = true
		s.name = fmt.Sprintf("closed model, %d connections, unix socket", s.conns)
	case "tls":
		s.tls, s.addr = true, server.TLS
		s.name = fmt.Sprintf("closed model, %d connections, TLS", s.conns)
	case "h2":
		s.conns, s.streams, s.addr = h2Conns, h2Streams, server.H2
		s.name = fmt.Sprintf("closed model, HTTP/2 without TLS, %d connections of %d requests", s.conns, s.streams)
	case "h2-tls":
		s.conns, s.streams, s.tls, s.addr = h2Conns, h2Streams, true, server.H2TLS
		s.name = fmt.Sprintf("closed model, HTTP/2 over TLS, %d connections of %d requests", s.conns, s.streams)
	case "grpc":
		s.conns, s.streams, s.grpc, s.addr = h2Conns, h2Streams, true, server.H2
		s.name = fmt.Sprintf("closed model, gRPC without TLS, %d connections of %d calls", s.conns, s.streams)
	case "dependency":
		s.ours, s.conns, s.streams = true, dependencyConns, dependencyStreams
		s.name = fmt.Sprintf("closed model, HTTP/2 without TLS at stormctl target dependency, %d connections of %d requests",
			s.conns, s.streams)
	default:
		if _, err := fmt.Sscanf(mode, "%d", &s.rate); err != nil || s.rate <= 0 {
			return errors.New("no mode of that name: closed, unix, tls, h2, h2-tls, grpc, dependency, highest or a rate per second")
		}
		s.name = fmt.Sprintf("open model, %d/s, %d connections, TCP", s.rate, s.conns)
	}
	return nil
}

// What HTTP/2 is measured with.
const (
	h2Conns   = 8
	h2Streams = 32

	dependencyConns   = 4
	dependencyStreams = 100
)

// What is measured of a program.
const (
	cpu       = iota // µs per request
	targetCPU        // of the target: µs per request
	rate             // requests per second, by the target, see pace
	p50              // by the program, in ms; and these three
	p99              //
	p999             //
	longest          //
	lag50            // by stormctl, in ms; and these three
	lag99            //
	service50        //
	hiccup99         //
	memory           // MiB
	metrics
)

func text(m bench.Measurement) string {
	return fmt.Sprintf("%6.2f us/request (target %.2f) %7.0f/s  p50 %.3f ms  p99 %.3f ms  %.0f MiB",
		m[cpu], m[targetCPU], m[rate], m[p50], m[p99], m[memory])
}

// measure runs a program.
func measure(ctx context.Context, s setup, p peer) (bench.Measurement, error) {
	before, err := s.target.Requests()
	if err != nil {
		return nil, err
	}
	cpuBefore, err := s.target.CPU()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.duration+time.Minute)
	defer cancel()
	args := p.args(s)
	cmd := exec.CommandContext(ctx, p.program, args...)
	var out, diagnostics strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.Dir = s.dir
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	perSecond, paceErr := pace(s)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", p.program, strings.Join(args, " "), err, out.String(), diagnostics.String())
	}
	after, err := s.target.Requests()
	if err != nil {
		return nil, err
	}
	cpuAfter, err := s.target.CPU()
	if err := errors.Join(err, paceErr); err != nil {
		return nil, err
	}
	n := float64(after - before)
	if n <= 0 {
		return nil, errors.New("it sent nothing")
	}
	q, err := p.says(s, out.String())
	if err != nil {
		return nil, err
	}
	return bench.Measurement{
		cpu:       float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Microseconds()) / n,
		targetCPU: float64((cpuAfter - cpuBefore).Microseconds()) / n,
		rate:      perSecond,
		p50:       q.p50, p99: q.p99, p999: q.p999, longest: q.max,
		lag50: q.lag50, lag99: q.lag99, service50: q.service50, hiccup99: q.hiccup99,
		memory: float64(maxResident(cmd.ProcessState)) / (1 << 20),
	}, nil
}

// pace is how many requests a second come in the middle half of a measurement that
// begins now: programs take different times to begin, and do not end to the
// millisecond. It is an error if the machine was too busy to look in time.
func pace(s setup) (float64, error) {
	start := time.Now()
	time.Sleep(s.duration / 4)
	before, err := s.target.Requests()
	began := time.Now()
	if err != nil {
		return 0, err
	}
	time.Sleep(s.duration / 2)
	after, err := s.target.Requests()
	if late := time.Since(start) - s.duration*3/4; late > s.duration/4 {
		err = errors.Join(err, fmt.Errorf("the target answered %v late how many requests there were: the machine is too busy", late))
	}
	return float64(after-before) / time.Since(began).Seconds(), err
}

// bars are the programs that the others are compared with.
func (s setup) bars() []string {
	switch {
	case s.rate > 0:
		return []string{"fortio", "vegeta"}
	case s.grpc:
		return []string{ghz(1).name, ghz(2).name}
	case s.streams > 0:
		return []string{"h2load -t1", "h2load -t2"}
	}
	return []string{"wrk -t1", "wrk -t2"}
}

// printTable prints the medians, and their ratios to those of the bars.
func printTable(s setup, peers []peer, results [][]bench.Measurement, rounds int) {
	fmt.Printf("\n%s, %v, medians of %d alternating rounds\n\n", s.name, s.duration, rounds)
	var bars []int
	head := "program\tCPU us/request\t"
	for _, name := range s.bars() {
		if i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name }); i >= 0 {
			bars = append(bars, i)
			head += "x " + name + "\t"
		}
	}
	head += "requests/s\t"
	if s.rate == 0 {
		for _, bar := range bars {
			head += "x " + peers[bar].name + "\t"
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, head+"target's CPU\tp50 ms\tp99 ms\tservice p50\tlag p50\tlag p99\thiccup p99\tMiB\t")
	for i, p := range peers {
		m := medians(results[i])
		ratios := func(metric int) string {
			text := ""
			for _, bar := range bars {
				text += fmt.Sprintf("%.2f\t", bench.Ratio(results[i], results[bar], metric))
			}
			return text
		}
		row := fmt.Sprintf("%s\t%.2f\t%s%.0f\t", p.name, m[cpu], ratios(cpu), m[rate])
		if s.rate == 0 {
			row += ratios(rate)
		}
		row += fmt.Sprintf("%.2f\t", m[targetCPU]) + latencyText(m[p50]) + "\t" + latencyText(m[p99]) + "\t"
		if p.own {
			row += fmt.Sprintf("%.3f\t%.3f\t%.3f\t%.3f\t", m[service50], m[lag50], m[lag99], m[hiccup99])
		} else {
			row += "-\t-\t-\t-\t"
		}
		fmt.Fprintf(w, "%s%.0f\t\n", row, m[memory])
	}
	_ = w.Flush()
}

func latencyText(ms float64) string {
	if ms < 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", ms)
}

func medians(ms []bench.Measurement) bench.Measurement {
	m := make(bench.Measurement, metrics)
	for metric := range m {
		m[metric] = bench.Median(ms, metric)
	}
	return m
}

func inDir(s setup, name string) string { return filepath.Join(s.dir, name) }
