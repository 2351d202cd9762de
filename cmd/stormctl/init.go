package main

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/reports"
)

//go:embed patterns
var patternFiles embed.FS

// patterns are what init can begin with, the one that it takes by itself first.
var patterns = [...]struct{ name, about string }{
	{"start", "what becomes of callers when a dependency fails, hangs and comes back: nothing need be known"},
	{"breaker", "a circuit breaker opens, waits, probes and closes"},
	{"bulkhead", "one dependency drowns, and other routes stay dry"},
	{"retry", "retries are bounded, and never repeat what must not be repeated"},
	{"events", "an event that is delivered twice, or whose answer is lost, takes effect once"},
}

func patternNames() []string {
	names := make([]string, len(patterns))
	for i, p := range patterns {
		names[i] = p.name
	}
	return names
}

// initOptions are the flags of init.
type initOptions struct {
	url        string // of the service, with the path of a route
	dependency string // what the service calls
	listen     string // host:port of the link between them
	out        string // file; "" is PATTERN.yaml, - is stdout
}

func (o *initOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.url, "url", "http://127.0.0.1:8080/", "`URL` of your service, with a path that calls the dependency")
	f.StringVar(&o.dependency, "dependency", "http://127.0.0.1:7000", "`URL` of what your service calls")
	f.StringVar(&o.listen, "listen", "127.0.0.1:7001", "`address` that your service calls instead: stormctl listens there and passes on")
	f.StringVar(&o.out, "out", "", "`file` to write, which must not exist; - is stdout (default PATTERN.yaml)")
}

func newInitCommand() *cobra.Command {
	var o initOptions
	var list strings.Builder
	for _, p := range patterns {
		fmt.Fprintf(&list, "  %-9s %s\n", p.name, p.about)
	}
	cmd := &cobra.Command{
		Use:   "init [PATTERN]",
		Short: "Writes an experiment to start from, for a service of your own",
		Long: `Writes a commented experiment for a service of your own. It asks nothing: what
the flags do not say has a default, and an arrow in the file marks each number
that is yours to know. The patterns:

` + list.String() + `
Without one it is start. The file is checked before it is written; one that is
there already is not touched.`,
		Example: `  stormctl init breaker --url http://127.0.0.1:8080/pay --dependency http://127.0.0.1:7000 --listen 127.0.0.1:7001
  stormctl validate breaker.yaml
  stormctl run breaker.yaml --report html`,
		Args: upTo("PATTERN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pattern := patterns[0].name
			if len(args) > 0 {
				pattern = args[0]
			}
			return initExperiment(cmd.OutOrStdout(), pattern, o)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// initExperiment writes the experiment of a pattern, and tells how to go on.
func initExperiment(stdout io.Writer, pattern string, o initOptions) error {
	text, err := experimentOf(pattern, o)
	if err != nil {
		return usageError{err}
	}
	if o.out == "-" {
		_, err := stdout.Write(text)
		return err
	}
	file := o.out
	file = cmp.Or(file, pattern+".yaml")
	if err := writeNew(file, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, `%[1]s is written. Next:
  1. let your service call http://%[2]s in the place of %[3]s
  2. look at the numbers with an arrow (<--)
  3. stormctl validate %[1]s
  4. stormctl run %[1]s --report html
`, reports.Clean(file), o.listen, o.dependency)
	return err
}

// writeNew writes a file that must not exist.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is left as it is: --out names another file", file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// experimentOf is the text of an experiment that Parse accepts.
func experimentOf(pattern string, o initOptions) ([]byte, error) {
	page, err := patternFiles.ReadFile("patterns/" + pattern + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("unknown pattern %q: it is one of %s", pattern, strings.Join(patternNames(), ", "))
	}
	service, err := addressOf("--url", o.url)
	if err != nil {
		return nil, err
	}
	dependency, err := addressOf("--dependency", o.dependency)
	if err != nil {
		return nil, err
	}
	if p := dependency.EscapedPath(); p != "" && p != "/" {
		return nil, fmt.Errorf("--dependency %s: without the path: your service adds it", o.dependency)
	}
	if _, err := netip.ParseAddrPort(o.listen); err != nil {
		return nil, fmt.Errorf("--listen %s: an IP address and a port are wanted, like 127.0.0.1:7001", o.listen)
	}
	of := template.Must(template.New(pattern).Parse(string(page))) // a test parses all
	var text bytes.Buffer
	fields := struct{ Service, Path, Dependency, Listen, Link, TLS, Limits string }{
		Service: base(service), Path: pathOf(service), Dependency: base(dependency),
		Listen: o.listen, Link: "http://" + o.listen, Limits: limitsOf(service, dependency),
	}
	if dependency.Scheme == "https" {
		fields.TLS = ", tls: {originate: {}}"
	}
	if err := of.Execute(&text, fields); err != nil {
		return nil, fmt.Errorf("pattern %s: %w", pattern, err)
	}
	if fields.Limits != "" { // it is refused until its reader has allowed it
		return text.Bytes(), nil
	}
	if _, err := experiment.Parse(pattern+".yaml", text.Bytes(), experiment.Options{}); err != nil {
		return nil, fmt.Errorf("with these flags the experiment would be refused: %v", err) //nolint:errorlint // its places are in no file
	}
	return text.Bytes(), nil
}

// addressOf reads a URL that a flag names.
func addressOf(flag, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return nil, fmt.Errorf("%s %s: a URL like http://127.0.0.1:8080/pay is wanted", flag, text)
	case strings.ContainsAny(text, "\"\\{}\n"):
		return nil, fmt.Errorf("%s %s: characters that a URL writes as %%22, %%5C, %%7B and so on", flag, text)
	case u.User != nil:
		return nil, fmt.Errorf("%s: a password in it would stand in the file: headers: {Authorization: \"${env.NAME}\"} of a route "+
			"keeps it out", flag)
	}
	return u, nil
}

func base(u *url.URL) string { return u.Scheme + "://" + u.Host }

// pathOf is the path of a route, with its query.
func pathOf(u *url.URL) string {
	path := u.RequestURI()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// limitsOf is the section that allows hosts beyond this machine, for its reader to
// uncomment: who types a host has not said yet that it may be broken. Of a name it
// leaves the address open, because limits are about addresses.
func limitsOf(urls ...*url.URL) string {
	var hosts []string
	for _, u := range urls {
		ip, err := netip.ParseAddr(u.Hostname())
		switch {
		case err == nil && !ip.IsLoopback():
			hosts = append(hosts, netip.PrefixFrom(ip, ip.BitLen()).String())
		case err != nil && u.Hostname() != "localhost":
			hosts = append(hosts, "ADDRESS OF "+u.Hostname())
		}
	}
	if hosts == nil {
		return ""
	}
	return fmt.Sprintf(`
# Only this machine is touched unless it says so. Uncomment it once nobody else is hurt by that.
# limits: {allow: [127.0.0.0/8, %s]}
`, strings.Join(hosts, ", "))
}
