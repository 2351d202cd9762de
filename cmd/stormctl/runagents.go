//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/agents"
)

// leadOptions are the flags of run for a load that agents send.
type leadOptions struct {
	agents int
	listen string
	nats   string
	token  string
}

func (o *leadOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.agents, "agents", 0, "have so many agents send the load (stormctl agent), in the place of this process")
	f.StringVar(&o.listen, "agents-listen", "127.0.0.1:0", "`ip:port` that agents come to; off loopback it speaks TLS")
	f.StringVar(&o.nats, "nats", "", "`URL` of a NATS server with JetStream that agents come to, in the place of a broker in this process")
	f.StringVar(&o.token, "agents-token", "", "the secret that agents join by, for agents that are started first (default one is drawn)")
}

// check says what is wrong with them for so many experiments.
func (o *leadOptions) check(files int) error {
	switch {
	case o.agents < 0 || o.agents > 1000:
		return fmt.Errorf("--agents: %d is not 1 to 1000", o.agents)
	case o.agents == 0 && (o.nats != "" || o.token != ""):
		return errors.New("--nats and --agents-token go with --agents")
	case o.agents > 0 && files > 1:
		return errors.New("--agents: an agent takes part in one run; give one FILE")
	case o.token != "":
		if err := agents.Token(o.token).Check(); err != nil {
			return fmt.Errorf("--agents-token: %w", err)
		}
	}
	return nil
}

// lead has agents send the load of a run; done ends that. Without --agents there is no
// remote.
func (o *leadOptions) lead(ctx context.Context, say func(string)) (remote chaos.RemoteLoad, done func(), err error) {
	if o.agents == 0 {
		return nil, func() {}, nil
	}
	token := agents.Token(o.token)
	if token == "" {
		token = agents.NewToken()
	}
	join, own, end, err := o.broker(token, say)
	if err != nil {
		return nil, nil, err
	}
	c, err := agents.Lead(ctx, join, own, o.agents, ownVersion(), say)
	if err != nil {
		end()
		return nil, nil, err
	}
	say(fmt.Sprintf("agents join by: stormctl agent --join '%s'", join))
	return c, func() {
		if err := c.Close(); err != nil {
			say(err.Error())
		}
		end()
	}, nil
}

// broker is where agents come to; own is one that was started for it, which end ends.
func (o *leadOptions) broker(token agents.Token, say func(string)) (join agents.Join, own *agents.Broker, end func(), err error) {
	if o.nats != "" {
		join, err = agents.ParseJoin(o.nats + "#" + string(token))
		if err != nil {
			return join, nil, nil, fmt.Errorf("--nats: %w", err)
		}
		return join, nil, func() {}, nil
	}
	dir, remove, err := agents.NewStore()
	if err != nil {
		return join, nil, nil, err
	}
	own, err = agents.StartBroker(o.listen, dir, token, say)
	if err != nil {
		return join, nil, nil, errors.Join(fmt.Errorf("--agents-listen: %w", err), remove())
	}
	return own.Join, own, func() {
		own.Close()
		_ = remove() // what is left of it the next run removes
	}, nil
}
