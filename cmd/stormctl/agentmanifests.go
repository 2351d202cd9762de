//go:build unix

package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/agents"
)

// The manifests are printed, and whoever places processes applies them: no client
// library of any, and no operator.
//
//go:embed manifests
var manifestFiles embed.FS

// manifestOptions are the flags of agent manifests.
type manifestOptions struct {
	kubernetes int
	nomad      int
	systemd    bool
	image      string
	join       string
	allow      []string
	cores      int
}

func (o *manifestOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.kubernetes, "kubernetes", 0, "an Indexed Job of so many agents, and its Secret")
	f.IntVar(&o.nomad, "nomad", 0, "a batch job of so many agents")
	f.BoolVar(&o.systemd, "systemd", false, "a template unit: stormctl-agent@NAME.service")
	f.StringVar(&o.image, "image", "stormctl:latest", "container `image`, for Kubernetes and Nomad")
	f.StringVar(&o.join, "join", "", "`URL` that agents join by: that of run --agents-token with a token of your own")
	f.StringSliceVar(&o.allow, "allow", nil, "`CIDRs` that agents may send to")
	f.IntVar(&o.cores, "cores", 2, "whole cores for each agent")
}

func newManifestsCommand() *cobra.Command {
	var o manifestOptions
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Prints manifests that place agents",
		Long: `Prints what Kubernetes, Nomad or systemd need to place agents, to look at and apply.
Agents wait for the run that --join names: start it with the same --agents-token
and --agents-listen, or --nats.

The join is a secret, and stands in a Secret, a template or an environment file
of its own.`,
		Example: `  stormctl agent manifests --kubernetes 3 --image registry.example/stormctl:1 --allow 10.0.0.0/16 \
    --join 'nats://nats.default.svc:4222#9f2c61d0a4b7e8350c1d2e3f40516273'
  stormctl agent manifests --systemd --allow 10.0.0.0/16 --join 'nats://10.0.0.1:7422#9f2c61d0a4b7e8350c1d2e3f40516273'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return o.print(cmd.OutOrStdout())
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func (o *manifestOptions) check() error {
	kinds := 0
	for _, given := range []bool{o.kubernetes != 0, o.nomad != 0, o.systemd} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("give one of --kubernetes N, --nomad N and --systemd")
	case o.kubernetes < 0 || o.nomad < 0 || max(o.kubernetes, o.nomad) > 1000:
		return errors.New("the number of agents is not 1 to 1000")
	case o.cores < 1:
		return fmt.Errorf("--cores: %d is not 1 or more", o.cores)
	case o.join == "":
		return errors.New("--join is missing: what run prints, or nats://HOST:PORT#TOKEN with the token that you give to run " +
			"--agents-token")
	case len(o.allow) == 0:
		return errors.New("--allow is missing: where agents may send, like 10.0.0.0/16")
	case strings.ContainsAny(o.image+strings.Join(o.allow, ""), "\"'\\\n{}$ "):
		return errors.New("--image and --allow take no quotes, blanks or braces")
	}
	if _, err := agents.ParseJoin(o.join); err != nil {
		return fmt.Errorf("--join: %w", err)
	}
	if strings.ContainsAny(o.join, "\"'\\\n{}$ ") {
		return errors.New("--join takes no quotes, blanks or braces: write them in percent")
	}
	return nil
}

// print prints the one that is asked for.
func (o *manifestOptions) print(w io.Writer) error {
	file := "systemd.service"
	switch {
	case o.kubernetes > 0:
		file = "kubernetes.yaml"
	case o.nomad > 0:
		file = "nomad.hcl"
	}
	t, err := template.ParseFS(manifestFiles, "manifests/"+file)
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"N": max(o.kubernetes, o.nomad), "Image": o.image, "Join": o.join,
		"Allow": strings.Join(o.allow, ","), "Cores": o.cores})
}
