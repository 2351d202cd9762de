package experiment

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/load/wire"
)

// Inputs is what stands in the files that an experiment names, and in the
// environment. It is for who runs it: a run is judged without them.
type Inputs struct {
	Times  []time.Duration        // of load.replay; nil without
	Data   *wire.Table            // of load.data; nil without
	TLS    map[string]*tls.Config // of the targets that are reached by it
	Bodies map[string][]byte      // of the routes whose target has descriptors, encoded

	env     map[string]string // the variables that headers ask for
	secrets *strings.Replacer // of values from the environment, by their placeholders
}

// ReadInputs reads the files. Who parsed with Options.Here has tried all of
// them. What latencies are drawn from stays with the latencies.
func (x *Experiment) ReadInputs() (*Inputs, error) {
	in := &Inputs{TLS: map[string]*tls.Config{}}
	var err error
	if x.Load.Replay != "" {
		if in.Times, err = input.Parse(x.Load.Replay, input.Times, arrivals.ReadTimes); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	if x.Load.Data != "" {
		if in.Data, err = input.Parse(x.Load.Data, input.Table, requests.ReadTable); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
	}
	for name, t := range x.Targets {
		if !t.Secure() {
			continue
		}
		files := load.TLS{}
		if t.TLS != nil {
			files = load.TLS(*t.TLS)
		}
		if in.TLS[name], err = files.Config(t.host()); err != nil {
			return nil, fmt.Errorf("target %s: tls: %w", name, err)
		}
	}
	for i, e := range x.Chaos {
		if e.Latency == nil || e.Latency.Draws != nil {
			continue
		}
		if err := loadRecording(e.Latency, ""); err != nil { // its path is absolute
			return nil, fmt.Errorf("chaos[%d].latency: %w", i, err)
		}
	}
	for i, c := range x.palette() {
		if c.Latency == nil || c.Latency.Draws != nil {
			continue
		}
		if err := loadRecording(c.Latency, ""); err != nil {
			return nil, fmt.Errorf("gameday.palette[%d].latency: %w", i, err)
		}
	}
	if in.Bodies, err = x.readMessages(); err != nil {
		return nil, err
	}
	if in.env, err = x.readEnv(os.LookupEnv); err != nil {
		return nil, err
	}
	in.secrets = x.secrets(os.LookupEnv)
	return in, nil
}

// Body is what a route sends, from whatever region.
func (in *Inputs) Body(r *Route) []byte {
	kind, _ := evidence.SplitRoute(r.Name)
	if body, ok := in.Bodies[kind]; ok {
		return body
	}
	return []byte(r.Body)
}

// host is what a target's certificate must be for, unless its TLS says more.
func (t *Target) host() string {
	if t.Process != nil && t.Process.Listen != "" {
		host, _, _ := net.SplitHostPort(t.Process.Listen) // "" is refused when it is dialled
		return host
	}
	if t.Process != nil {
		return "127.0.0.1"
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// beside is where a file is that the experiment names.
func (r *rules) beside(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(r.File), file)
}

// absolute makes names of files that begin at folder independent of it; "" stays.
func absolute(folder string, files ...*string) error {
	for _, f := range files {
		if *f == "" || filepath.IsAbs(*f) {
			continue
		}
		path, err := filepath.Abs(filepath.Join(folder, *f))
		if err != nil {
			return err
		}
		*f = path
	}
	return nil
}

// data reads the table for ${data.COLUMN}.
func (r *rules) data(file string) {
	if !r.opts.Here || !r.Sound("load.data") {
		return
	}
	var err error
	if r.table, err = input.Parse(r.beside(file), input.Table, requests.ReadTable); err != nil {
		r.Wrong("load.data", "data: "+err.Error(), "")
	}
}
