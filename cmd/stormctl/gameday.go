//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/guard"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/reports/console"
)

// gamedayOptions are the flags of gameday.
type gamedayOptions struct {
	run      runOptions // of its flags those that have a meaning here
	listen   string
	hosts    []string
	cert     string
	key      string
	insecure bool
	stay     bool
}

func (o *gamedayOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", "127.0.0.1:9474",
		"`address` of the page, host:port; port 0 picks a free one; other than loopback needs TLS")
	f.StringArrayVar(&o.hosts, "host", nil, "a `name` that the page may be asked for by, beside IP addresses and localhost; may "+
		"be repeated")
	f.StringVar(&o.cert, "cert", "", "`file` with the certificate of the page, PEM")
	f.StringVar(&o.key, "key", "", "`file` with its key, PEM")
	f.BoolVar(&o.insecure, "insecure", false, "serve other machines without TLS: whoever is on the way reads the tokens, and may use them")
	f.BoolVar(&o.stay, "stay", false, "serve the page after the end of the run too, until Ctrl-C")
	f.StringVar(&o.run.out, "out", "", "run `directory` (default runs/NAME-TIME)")
	f.StringSliceVar(&o.run.reports, "report", []string{"html"},
		"`formats` to write into the run directory, beside those of the experiment")
	f.StringArrayVar(&o.run.set, "set", nil, "change the experiment: `KEY=VALUE` like load.duration=1h; may be repeated")
	f.Var(&o.run.seed, "seed", "decides every random draw, instead of the experiment's seed")
	f.BoolVar(&o.run.json, "json", false, "print the result as JSON, instead of the summary")
	f.BoolVar(&o.run.quiet, "quiet", false, "no progress on stderr; tokens and what people do are told all the same")
}

func newGamedayCommand() *cobra.Command {
	var o gamedayOptions
	cmd := &cobra.Command{
		Use:   "gameday FILE",
		Short: "Runs an experiment that people in a room act on by hand",
		Long: `Runs an experiment of which people decide what goes wrong, and when, on a page
that they look at together: what is claimed and what each of them predicts, the
load live, the faults in force with the time that they have left, and a palette of
faults that the file names (gameday: {palette: [...]}), each injected for a bounded
time. Everybody may halt. docs/gameday.md leads through a whole day.

The page is served on loopback. Its tokens are printed once, one for each role:
owner (begins and ends the load), operator (injects and heals), reporter (notes,
marks, checklist), observer (looks, predicts, halts). The load begins when the owner
begins it; events that the file has under chaos: are left out.

Everything that is done is in journal.jsonl of the run directory, with who and
when, each line with the hash of the one before. What is injected is evidence like
in any run: the claims are ruled on at the end, and the exit code is that of run.`,
		Example: `  stormctl gameday examples/fallback.yaml --set load.duration=1h
  stormctl gameday verify runs/gameday-20261129-140000
  stormctl gameday export runs/gameday-20261129-140000 > again.yaml`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := reports.Check(o.run.reports...); err != nil {
				return usageError{fmt.Errorf("--report: %w", err)}
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find our own program, which serves reference targets: %w", err)
			}
			r := runner{options: o.run, self: []string{self, "target"}, run: chaos.Run, getenv: os.Getenv,
				stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
			code, err := o.hold(cmd.Context(), &r, args[0])
			if err != nil {
				return err
			}
			return code.err()
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.AddCommand(newGamedayExportCommand(), newGamedayVerifyCommand())
	return cmd
}

// hold holds the game day of one file: it serves the page, runs the experiment, and
// tells what came of it.
func (o *gamedayOptions) hold(ctx context.Context, r *runner, file string) (exitCode, error) {
	jobs, err := r.load([]string{file})
	if err != nil {
		return 0, err
	}
	j := jobs[0]
	if j.x.GameDay == nil {
		return 0, fmt.Errorf("%s has no gameday: add one, like gameday: {palette: [{name: bank-fails, on: LINK, for: 1m, errors: "+
			"{status: 503}}]}", file)
	}
	l, scheme, err := o.open(ctx)
	if err != nil {
		return 0, err
	}
	shown := newProgressQueue(newProgress(r.stderr, r.options.quiet, r.getenv))
	defer shown.close()
	ctx, release := interruptible(ctx, shown.say)
	defer release()
	ctx, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	if n := len(j.x.Chaos); n > 0 {
		j.x.Chaos = nil
		shown.say(fmt.Sprintf("%d events under chaos: are left out: on a game day people inject by hand", n))
	}
	j.weak = nil // what cannot be decided is up to people

	tokens, control := console.NewTokens(), &chaos.Control{}
	con := console.New(console.Config{
		Experiment: j.x, Control: control, Length: j.x.Load.Length(), Tokens: tokens, Hosts: o.hosts, Secure: scheme == "https",
		Touches: touched(ctx, j.x), Halt: func(why string) { halt(chaos.Stopped{Why: why}) },
		Tell: func(line string) { shown.say(reports.Clean(line)) },
	})
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	var served sync.WaitGroup
	served.Go(func() {
		if err := guard.Serve(serving, l, con); err != nil {
			halt(chaos.Stopped{Why: "the page could not be served: " + err.Error()})
		}
	})
	defer served.Wait()
	defer stopServing()
	tellTokens(shown.say, scheme+"://"+l.Addr().String(), tokens)

	r.run = running(con, control, r.run)
	code := r.runOne(ctx, shown, j)
	if err := con.Close(); err != nil {
		shown.say(errorText(fmt.Errorf("the journal is incomplete: %w", err)))
		code = worse(code, exitFailed)
	}
	if o.stay && ctx.Err() == nil {
		shown.say("the page stays until Ctrl-C")
		<-ctx.Done()
	}
	return code, nil
}

// running is run with a console beside it.
func running(con *console.Console, control *chaos.Control,
	run func(context.Context, *experiment.Experiment, chaos.Options) (*result.Result, error)) func(context.Context, *experiment.Experiment,
	chaos.Options) (*result.Result, error) {
	return func(ctx context.Context, x *experiment.Experiment, options chaos.Options) (*result.Result, error) {
		watch := options.Watch
		options.Control, options.Begin = control, con.Begin
		options.Watch = func(p chaos.Progress) {
			con.Watch(p)
			if watch != nil {
				watch(p)
			}
		}
		result, err := run(ctx, x, options)
		why := ""
		if err != nil {
			why = err.Error()
		}
		con.Finish(result, why)
		return result, err
	}
}

// touched is what each fault of the palette touches, and how that is undone.
func touched(ctx context.Context, x *experiment.Experiment) (all []console.Touched) {
	plans := testbed.Look(ctx, x).Plans
	for i, c := range x.GameDay.Palette {
		t := console.Touched{What: "what passes the link " + c.On, Undo: "the link passes everything again"}
		if c.RegionLoss != nil {
			t = console.Touched{What: "what passes the links of " + c.Where(), Undo: "the links pass everything again"}
		}
		if p, ok := plans[len(x.Chaos)+i]; ok {
			t = console.Touched{What: p.Touches, Undo: p.Undo}
		}
		all = append(all, t)
	}
	return all
}

// tellTokens prints where the page is, and what opens it: once, and nowhere else.
func tellTokens(say func(string), url string, tokens console.Tokens) {
	say("the page of the game day is on " + url + ": give each person the line of their role")
	for _, role := range console.Roles {
		say(fmt.Sprintf("  %-9s %s/#%s", role, url, tokens.Of(role)))
	}
	say(fmt.Sprintf("  %-9s POST %s/alerts with Authorization: Bearer %s", "alerts", url, tokens.Alerts()))
}

// open listens for the page. What is not on loopback needs TLS: tokens and cookies
// would be there for everybody on the way otherwise.
func (o *gamedayOptions) open(ctx context.Context) (l net.Listener, scheme string, err error) {
	if (o.cert == "") != (o.key == "") {
		return nil, "", usageError{errors.New("--cert and --key go together")}
	}
	var config *tls.Config
	if o.cert != "" {
		pair, err := input.KeyPair(o.cert, o.key)
		if err != nil {
			return nil, "", usageError{fmt.Errorf("--cert: %w", err)}
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	addr, err := listenAddress(ctx, o.listen, config != nil || o.insecure, "127.0.0.1:9474",
		"give --cert and --key, or --insecure if whoever is on the way may read the tokens")
	if err != nil {
		return nil, "", usageError{fmt.Errorf("--listen %q: %w", o.listen, err)}
	}
	if l, err = new(net.ListenConfig).Listen(ctx, "tcp", addr); err != nil {
		return nil, "", fmt.Errorf("serve the page: %w", err)
	}
	if config == nil {
		return l, "http", nil
	}
	return tls.NewListener(l, config), "https", nil
}
