//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/discover"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/targets/reference"
)

// discoverOptions are the flags of discover.
type discoverOptions struct {
	link, route string // of FILE
	own         initOptions
	rate        int           // requests a second
	patience    time.Duration // longest time that is waited for one setting
	out         string        // folder of the trials' run directories
	seed        seedFlag
	json, quiet bool
}

func (o *discoverOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.link, "link", "", "`name` of the link in FILE (default its only one)")
	f.StringVar(&o.route, "route", "", "`name` of the route in FILE whose calls go over it (default its only one)")
	f.StringVar(&o.own.url, "url", "", "without FILE: `URL` of your service, with a path that calls the dependency")
	f.StringVar(&o.own.dependency, "dependency", "http://127.0.0.1:7000", "without FILE: `URL` of what your service calls")
	f.StringVar(&o.own.listen, "listen", "127.0.0.1:7001", "without FILE: `address` that your service calls instead")
	f.IntVar(&o.rate, "rate", 50, "requests a second")
	f.DurationVar(&o.patience, "patience", 40*time.Second, "longest time to wait for one setting: an open time, a timeout")
	f.StringVar(&o.out, "out", "", "`folder` for the run directories of its trials (default runs/discover-TIME)")
	f.Var(&o.seed, "seed", "decides every random draw of its trials")
	f.BoolVar(&o.json, "json", false, "print what was found as JSON")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
}

func newDiscoverCommand() *cobra.Command {
	var o discoverOptions
	cmd := &cobra.Command{
		Use:   "discover [FILE]",
		Short: "Measures what a service does when its dependency fails, and prints claims to paste",
		Long: `Points load and faults at one link with nothing claimed, and tells what the
service does: its timeout; attempts, what they follow on and how long they wait;
whether a breaker opens, after what, for how long, how it probes; how many calls
may be in progress; whether callers get something else instead. What was not
seen is told with how far it was looked for, and what a reviewer would say of
it comes first. At the end stand the claims to paste into an experiment.

It takes some runs of 15 s, and longer ones where a breaker stays open for long:
--patience bounds that. FILE is an experiment, of which the targets, the link,
the route and the limits count; without one, --url is a service that runs and
calls --listen in the place of --dependency. The faults are real: only this
machine is touched unless the limits of FILE allow more.

The exit code is 0 whatever was found.`,
		Example: `  stormctl discover examples/breaker.yaml --link payments --route pay
  stormctl discover --url http://127.0.0.1:8080/pay --dependency http://127.0.0.1:7000 --listen 127.0.0.1:7001`,
		Args: upTo("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find our own program, which serves reference targets: %w", err)
			}
			d := discoverer{options: o, self: []string{self, "target"}, getenv: os.Getenv, stdout: cmd.OutOrStdout(),
				stderr: cmd.ErrOrStderr()}
			return d.discover(cmd.Context(), args)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// discoverer makes trials of a service.
type discoverer struct {
	options        discoverOptions
	self           []string // the command that serves a reference target
	getenv         func(string) string
	stdout, stderr io.Writer
}

func (d *discoverer) discover(ctx context.Context, args []string) error {
	if d.options.rate < 1 || d.options.patience < time.Second {
		return usageError{errors.New("--rate is at least 1 and --patience at least 1s")}
	}
	x, subject, err := d.subject(args)
	if err != nil {
		return err
	}
	out := d.options.out
	if out == "" {
		out = filepath.Join("runs", "discover-"+time.Now().Format("20060102-150405"))
	}
	file := filepath.Join(out, "experiment.yaml")
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return usageError{fmt.Errorf("--out %s: %s is there already, and would be written over: give another folder", out, file)}
	}
	shown := newProgressQueue(newProgress(d.stderr, d.options.quiet, d.getenv))
	ctx, release := interruptible(ctx, shown.say)
	found := &discover.Findings{Subject: subject, RPC: x.Links[subject.Link].Protocol == load.GRPC}
	doubts, err := d.trials(ctx, shown, x, found, out)
	release()
	shown.close()
	if err != nil && len(found.Done) == 0 {
		if errors.Is(err, exitStopped) {
			tell(d.stderr, "stopped before anything was found; what was seen is in "+reports.Clean(out))
		}
		return err
	}
	readyErr := d.ready(x, found, file)
	if readyErr != nil {
		file = ""
	}
	if failed := errors.Join(d.print(found, doubts, out, file), readyErr); failed != nil {
		return errors.Join(failed, err)
	}
	return err
}

// ready writes an experiment that claims what was found, and can decide it.
func (d *discoverer) ready(x *experiment.Experiment, found *discover.Findings, file string) error {
	faults, duration, timeout := found.Plan()
	y, err := d.with(x, []string{
		"name=discovered", fmt.Sprintf("load.rate=%d/s", d.options.rate),
		"load.duration=" + duration.String(), "load.timeout=" + timeout.String(),
		"chaos=[" + strings.Join(faults, ", ") + "]", "claims=[{" + strings.Join(found.Claims(), "}, {") + "}]",
	})
	if err != nil {
		return fmt.Errorf("write what was found as an experiment: %w", err)
	}
	text, err := experiment.Marshal(y)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // of its owner, as run directories are
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// with is the experiment with other settings.
func (d *discoverer) with(x *experiment.Experiment, set []string) (*experiment.Experiment, error) {
	text, err := experiment.Marshal(x)
	if err != nil {
		return nil, err
	}
	return experiment.Parse(x.Name, text, experiment.Options{
		Here: true, Set: set, References: reference.Names(), Reference: reference.Check,
	})
}

// trials makes one after the other until all is known. doubts are what was not well.
func (d *discoverer) trials(ctx context.Context, shown *progressQueue, x *experiment.Experiment, found *discover.Findings, out string) (
	doubts []string, err error) {
	bounds := discover.Bounds{Rate: d.options.rate, Patience: d.options.patience}
	for n := 1; ; n++ {
		t, more := discover.Next(found, bounds)
		if !more {
			return doubts, nil
		}
		if !d.options.quiet {
			shown.say(fmt.Sprintf("trial %d, %s (%v): %s", n, t.Name, t.Duration, t.About))
		}
		dir := filepath.Join(out, fmt.Sprintf("%d-%s", n, strings.ReplaceAll(t.Name, " ", "-")))
		r, err := d.trial(ctx, shown, x, t, found.Subject, dir)
		if err != nil {
			if ctx.Err() != nil {
				return doubts, exitStopped
			}
			return doubts, fmt.Errorf("trial %s: %w", t.Name, err)
		}
		if r.Partial {
			doubts = append(doubts, fmt.Sprintf("trial %s was stopped: %s", t.Name, r.Stopped))
			return doubts, exitStopped
		}
		if !r.Harness.Healthy {
			doubts = append(doubts, fmt.Sprintf("trial %s: the harness was not well: %s", t.Name, strings.Join(r.Harness.Problems, "; ")))
		}
		run, err := evidence.Read(dir)
		if err == nil {
			err = found.Learn(t, run)
		}
		if err != nil {
			return doubts, fmt.Errorf("trial %s: %w", t.Name, err)
		}
	}
}

// trial runs one.
func (d *discoverer) trial(ctx context.Context, shown *progressQueue, x *experiment.Experiment, t discover.Trial, s discover.Subject,
	dir string) (
	*result.Result, error) {
	trial, err := d.with(x, t.Set(s))
	if err != nil {
		return nil, err
	}
	if d.options.seed.given {
		trial.Seed = d.options.seed.value
	}
	options := chaos.Options{Out: dir, Self: d.self}
	if !d.options.quiet {
		options.Watch = shown.watch
	}
	shown.begin(t.Name)
	r, err := chaos.Run(ctx, trial, options)
	shown.end()
	if err != nil {
		return nil, err
	}
	return r, reports.Write(dir, []string{"json"}, r)
}

// subject is the experiment that trials are made of: that of the file, with its load
// and faults taken out, or one of the flags.
func (d *discoverer) subject(args []string) (x *experiment.Experiment, s discover.Subject, err error) {
	o := d.options
	switch {
	case len(args) == 1 && o.own.url != "":
		return nil, s, usageError{errors.New("FILE or --url, not both")}
	case len(args) == 0 && o.own.url == "":
		return nil, s, usageError{errors.New("give FILE, or --url of a service that runs")}
	case len(args) == 0:
		text, err := experimentOf("start", o.own)
		if err != nil {
			return nil, s, usageError{err}
		}
		if x, err = experiment.Parse("discover", text, experiment.Options{Here: true}); err != nil {
			return nil, s, err
		}
	default:
		if x, _, err = loadExperiment(args[0], nil); err != nil {
			return nil, s, err
		}
	}
	links := slices.Sorted(func(yield func(string) bool) {
		for name := range x.Links {
			if !yield(name) {
				return
			}
		}
	})
	var routes []string
	for _, r := range x.Load.Routes {
		routes = append(routes, r.Name)
	}
	if s.Link, err = chosen("link", o.link, links); err != nil {
		return nil, s, err
	}
	if s.Route, err = chosen("route", o.route, routes); err != nil {
		return nil, s, err
	}
	return alone(x, s), s, nil
}

// chosen is the name that was given, or the only one there is.
func chosen(what, name string, all []string) (string, error) {
	switch {
	case slices.Contains(all, name):
		return name, nil
	case name != "":
		return "", usageError{fmt.Errorf("--%s %s: the experiment has %s", what, name, strings.Join(all, ", "))}
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return "", usageError{fmt.Errorf("the experiment has no %s", what)}
	}
	return "", usageError{fmt.Errorf("--%s is missing: the experiment has %s", what, strings.Join(all, ", "))}
}

// alone is the experiment with the one route, a plain load and callers who wait for
// longer than any trial.
func alone(x *experiment.Experiment, s discover.Subject) *experiment.Experiment {
	y := *x
	l := x.Load
	l.Stages, l.Spike, l.Sine, l.Replay, l.Warmup, l.Batch = nil, nil, nil, "", 0, 0
	l.WhenStalled, l.Burst, l.Arrivals = experiment.Queue, 0, experiment.Constant
	l.Connections, l.Timeout, l.Grace = 4096, time.Minute, 0
	l.Routes = slices.DeleteFunc(slices.Clone(l.Routes), func(r experiment.Route) bool { return r.Name != s.Route })
	for i := range l.Routes {
		l.Routes[i].Timeout = 0
	}
	y.Limits.StopIf = slices.DeleteFunc(slices.Clone(x.Limits.StopIf), func(stop experiment.Stop) bool {
		return stop.Route != "" && stop.Route != s.Route // of what is not asked for here
	})
	y.Load, y.Reports = l, nil
	return &y
}

// print tells what was found: what a reviewer would say, the figures, the claims.
func (d *discoverer) print(found *discover.Findings, doubts []string, out, file string) error {
	rows, review := found.Rows(), found.Review()
	faults, _, _ := found.Plan()
	section := func(name string, entries []string) string {
		return name + ":\n  - " + strings.Join(entries, "\n  - ") + "\n"
	}
	claims, chaos := section("claims", found.Claims()), section("chaos", faults)
	if d.options.json {
		e := json.NewEncoder(d.stdout)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Link   string         `json:"link"`
			Route  string         `json:"route"`
			Found  []discover.Row `json:"found"`
			Review []string       `json:"review"`
			Doubts []string       `json:"doubts,omitempty"`
			Claims string         `json:"claims"`
			Chaos  string         `json:"chaos"`
			File   string         `json:"experiment"`
			Runs   string         `json:"runs"`
		}{found.Link, found.Route, rows, append([]string{}, review...), doubts, claims, chaos, file, out})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "calls of %q over %q, by %d trials in %s\n", found.Route, found.Link, len(found.Done), reports.Clean(out))
	if len(review) > 0 {
		b.WriteString("\nA reviewer would say:\n")
		for _, line := range review {
			fmt.Fprintf(&b, "  ! %s\n", line)
		}
	}
	b.WriteString("\nFound:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(table, "  %s\t%s\n", row.Name, row.Text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range doubts {
		fmt.Fprintf(&b, "\nDoubtful: %s\n", reports.Clean(line))
	}
	fmt.Fprintf(&b, "\nTo paste, with the faults that decide it:\n\n%s\n%s", chaos, claims)
	if file != "" {
		fmt.Fprintf(&b, "\nOr run it as it is: stormctl run %s\n", reports.Clean(file))
	}
	_, err := io.WriteString(d.stdout, b.String())
	return err
}
