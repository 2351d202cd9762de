//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/agents"
	"github.com/stormctl/stormctl/reports"
)

// joinVariable has the join where --join is not given, as a secret is handed over.
const joinVariable = "STORMCTL_JOIN"

// agentOptions are the flags of agent.
type agentOptions struct {
	join   string
	name   string
	labels []string
	allow  []string
	loops  int
	dir    string
}

func (o *agentOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.join, "join", "", "`URL` that run --agents prints; absent, the environment's "+joinVariable)
	f.StringVar(&o.name, "name", "", "what it is called in the run (default the host's name and the process)")
	f.StringArrayVar(&o.labels, "label", nil, "what is told of it: `KEY=VALUE` like region=eu; may be repeated")
	f.StringSliceVar(&o.allow, "allow", []string{"127.0.0.0/8", "::1/128"}, "`CIDRs` that it may send to, whatever the run wants")
	f.IntVar(&o.loops, "loops", 0, "event loops; 0 is one per core")
	f.StringVar(&o.dir, "dir", "", "`folder` for what it saw, until that is handed over (default the system's for temporary files)")
}

func newAgentCommand() *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Sends a part of a run's load from this machine",
		Long: `Joins a run that 'stormctl run --agents N' leads elsewhere, sends its part of the
load, hands over what it saw, and ends. Targets, links, faults and rulings are
the other side's.

It sends to the addresses of --allow alone, whatever the run wants, and reads no
file and no variable for it. It stops by itself when nothing was heard of the run
for 5 s, and at once when that is halted. Ctrl-C ends its part: the run goes on,
and no claim of it will have held.

Exit code 0: it has handed over all it saw. 2: it could not join, or was refused,
or was left alone. 4: it was ended by a signal.`,
		Example: `  stormctl agent --join 'nats://10.0.0.1:7422#9f2c61d0a4b7e8350c1d2e3f40516273' --allow 10.0.0.0/16 --label region=eu
  stormctl agent manifests --kubernetes 3 --image registry.example/stormctl:1`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			say := func(text string) { tell(cmd.ErrOrStderr(), reports.Clean("agent: "+text)) }
			a, err := o.agent(say)
			if err != nil {
				return usageError{err}
			}
			return endOfAgent(ctx, a.Run(ctx))
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.AddCommand(newManifestsCommand())
	return cmd
}

// endOfAgent is the exit code of an agent as an error.
func endOfAgent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
		return exitStopped
	case err != nil:
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// agent is what the flags say.
func (o *agentOptions) agent(say func(string)) (*agents.Agent, error) {
	text := o.join
	text = cmp.Or(text, os.Getenv(joinVariable))
	if text == "" {
		return nil, fmt.Errorf("--join is missing, and so is %s: give what run --agents prints", joinVariable)
	}
	join, err := agents.ParseJoin(text)
	if err != nil {
		return nil, fmt.Errorf("--join: %w", err)
	}
	labels, err := pairs("--label", "KEY=VALUE", o.labels)
	if err != nil {
		return nil, err
	}
	a := &agents.Agent{Join: join, Dir: o.dir, Say: say, Member: agents.Member{
		Name: o.name, Version: ownVersion(), Labels: labels, Cores: runtime.NumCPU(), Loops: o.loops}}
	a.Dir = cmp.Or(a.Dir, os.TempDir())
	a.Member.Loops = cmp.Or(a.Member.Loops, runtime.GOMAXPROCS(0))
	if a.Member.Loops < 0 {
		return nil, fmt.Errorf("--loops: %d is negative", o.loops)
	}
	if a.Member.Name == "" {
		a.Member.Name = ownName()
	}
	if err := agents.CheckName(a.Member.Name); err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	for _, cidr := range o.allow {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("--allow: %.60q is no CIDR like 10.0.0.0/16", cidr)
		}
		a.Allow = append(a.Allow, prefix.Masked())
	}
	if len(a.Allow) == 0 {
		return nil, errors.New("--allow: is empty, and nothing could be sent: leave it out for loopback")
	}
	return a, nil
}

// ownName is a name for this process that no other machine has.
func ownName() string {
	host, _ := os.Hostname() // without one the process tells
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(host))
	return strings.TrimLeft(fmt.Sprintf("%.28s-%d", host, os.Getpid()), "-")
}
