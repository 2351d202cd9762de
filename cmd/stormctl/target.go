//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/targets/reference"
)

// targetOptions are the flags of target.
type targetOptions struct {
	list   bool
	name   string
	listen string
	with   []string // KEY=VALUE
	deps   []string // NAME=URL
	flaw   string
	dir    string
}

func (o *targetOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.list, "list", false, "print the services, their settings and their flaws")
	f.StringVar(&o.name, "name", "", "what it calls itself (default NAME)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` to serve on, host:port or unix:PATH; port 0 picks a free one")
	f.StringArrayVar(&o.with, "with", nil, "a setting: `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&o.deps, "dep", nil, "a dependency to call: `NAME=URL`; may be repeated")
	f.StringVar(&o.flaw, "flaw", "", "break one pattern in one way; short for --with flaw=`NAME`")
	f.StringVar(&o.dir, "dir", "", "`folder` of what must outlive it, of broker, consumer and saga (default one that ends with it)")
}

func newTargetCommand() *cobra.Command {
	var o targetOptions
	cmd := &cobra.Command{
		Use:   "target NAME",
		Short: "Serves a reference service",
		Long: `Serves one of the reference services that experiments can name, until SIGINT or
SIGTERM. They are what claims are tried on: sound, or with a flaw that a claim
must refute.`,
		Example: `  stormctl target --list
  stormctl target dependency --listen 127.0.0.1:9090 --with service_time=5ms
  stormctl target frontend --dep payments=http://127.0.0.1:9090 --with breaker=gobreaker --flaw never-opens`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				if err := exactly()(cmd, args); err != nil {
					return err
				}
				return listTargets(cmd.OutOrStdout())
			}
			if err := exactly("NAME")(cmd, args); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serveTarget(ctx, cmd.ErrOrStderr(), args[0], o)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// settings are those of the flags, of which none may be given twice.
func (o *targetOptions) settings() (map[string]string, error) {
	with, err := pairs("--with", "KEY=VALUE", o.with)
	if err != nil || o.flaw == "" {
		return with, err
	}
	if _, twice := with["flaw"]; twice {
		return nil, errors.New("--flaw: given by --with already")
	}
	with["flaw"] = o.flaw
	return with, nil
}

// pairs reads the values of a flag that is repeated.
func pairs(flag, form string, values []string) (map[string]string, error) {
	m := map[string]string{}
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s %q: write it as %s", flag, v, form)
		}
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("%s %s: given twice", flag, key)
		}
		m[key] = value
	}
	return m, nil
}

// listTargets prints all that the reference services can be told to do.
func listTargets(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, name := range reference.Names() {
		if i > 0 {
			fmt.Fprintln(columns)
		}
		d, ok := reference.Describe(name)
		if !ok {
			return fmt.Errorf("describe target %s: it is listed but not known", name)
		}
		fmt.Fprintf(columns, "%s: %s\n", d.Name, d.About)
		if len(d.Settings) > 0 {
			fmt.Fprintf(columns, "\n  setting\tdefault\tvalues\tmeaning\n")
		}
		for _, s := range d.Settings {
			fmt.Fprintf(columns, "  %s\t%s\t%s\t%s\n", s.Name, s.Default, s.Values, s.Meaning)
		}
		if len(d.Flaws) > 0 {
			fmt.Fprintf(columns, "\n  flaw\tof\trefuted by\tmeaning\n")
		}
		for _, f := range d.Flaws {
			fmt.Fprintf(columns, "  %s\t%s\t%s\t%s\n", f.Name, f.Pattern, f.Claim, f.Meaning)
		}
	}
	return columns.Flush()
}

// serveTarget serves until ctx is done. It says where on stderr, so that a
// script that asked for a free port can find it.
func serveTarget(ctx context.Context, stderr io.Writer, service string, o targetOptions) error {
	config, err := o.config(service)
	if err != nil {
		return usageError{err}
	}
	return reference.Serve(ctx, service, config, func(addr string) {
		if !strings.HasPrefix(addr, "unix:") {
			addr = "http://" + addr
		}
		fmt.Fprintf(stderr, "%s listens on %s\n", reports.Clean(o.called(service)), addr)
	})
}

// config is what the flags say, checked as far as can be without serving.
func (o *targetOptions) config(service string) (reference.Config, error) {
	with, err := o.settings()
	if err != nil {
		return reference.Config{}, err
	}
	deps, err := pairs("--dep", "NAME=URL", o.deps)
	if err != nil {
		return reference.Config{}, err
	}
	if err := reference.Check(service, with); err != nil {
		return reference.Config{}, err
	}
	return reference.Config{Name: o.called(service), Listen: o.listen, With: with, Deps: deps, Dir: o.dir}, nil
}

func (o *targetOptions) called(service string) string { return cmp.Or(o.name, service) }
