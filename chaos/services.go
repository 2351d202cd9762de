package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/targets"
)

// services are the targets and links of one run, from their addresses to
// their end.
type services struct {
	x     *experiment.Experiment
	in    *experiment.Inputs
	opts  Options
	dir   string
	allow allowList
	lease *lease.Lease // nil if nothing may outlive us

	length time.Duration // of the load, the warm-up apart; 0 before it is known

	addrs   map[string]netip.AddrPort // of the targets, by name; none of one on a unix socket
	hosts   map[string]string         // what a caller writes into the Host header
	relays  map[string]proxy.Relay    // by link
	tls     authority
	files   map[string]map[string]string // by link with TLS, and what they are: ca, cert, key
	running map[string]*targets.Running
	spoken  map[string]string // with the targets that had the choice
	notes   []string          // what was chosen, for whoever reads the result
}

// prepare gives every target and link its address and binds the links. It
// starts no target.
func prepare(ctx context.Context, x *experiment.Experiment, in *experiment.Inputs, dir string, run uint64, opts Options) (s *services, err error) {
	s = &services{x: x, in: in, opts: opts, dir: dir, addrs: map[string]netip.AddrPort{}, hosts: map[string]string{},
		relays: map[string]proxy.Relay{}, running: map[string]*targets.Running{}, spoken: map[string]string{},
		tls: authority{dir: filepath.Join(dir, "tls")}, files: map[string]map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.allow, err = parseAllow(x.Limits.Allow); err != nil {
		return s, err
	}
	for _, name := range sorted(x.Targets) {
		if _, ok := x.Targets[name].Socket(); ok { // it leads to no other machine
			s.hosts[name] = "localhost"
			continue
		}
		addrs, err := s.resolve(ctx, name)
		if err != nil {
			return s, err
		}
		s.addrs[name] = s.choose(ctx, name, addrs)
	}
	for _, name := range sorted(x.Links) {
		relay, err := s.link(name, run)
		if err != nil {
			return s, fmt.Errorf("link %s: %w", name, err)
		}
		s.relays[name] = relay
	}
	return s, nil
}

// resolve finds the addresses of a target, which limits must allow.
func (s *services) resolve(ctx context.Context, name string) ([]netip.AddrPort, error) {
	hostport, err := s.address(s.x.Targets[name])
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	if s.hosts != nil {
		s.hosts[name] = hostport
	}
	addrs, err := s.allow.resolve(ctx, hostport)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	return addrs, nil
}

// choose takes one of the addresses of a target for the whole run: of one that
// runs already the first that can be reached. If none does, it is the first, and
// start tells what is wrong with it.
func (s *services) choose(ctx context.Context, name string, addrs []netip.AddrPort) netip.AddrPort {
	if len(addrs) == 1 || s.x.Targets[name].URL == "" {
		return addrs[0]
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	reached, err := load.ProbeAny(ctx, texts, s.way(name), probeTimeout)
	if err != nil {
		return addrs[0]
	}
	text := fmt.Sprintf("target %s: %s is %s, one of its %d addresses", name, s.hosts[name], reached.Addr, reached.Candidates)
	for _, why := range reached.Failed {
		text += fmt.Sprintf("; another is not used: %v", why)
	}
	s.notes = append(s.notes, text)
	return addrs[len(reached.Failed)]
}

// link binds a link.
func (s *services) link(name string, run uint64) (proxy.Relay, error) {
	link := s.x.Links[name]
	c := proxy.Config{
		Name: name, Listen: link.Listen, Upstream: s.addrs[link.To].String(), Protocol: link.Protocol,
		Seed: s.x.Seed, Run: run, IDHeader: s.x.Load.IDHeader, Allow: s.allow.check,
	}
	if link.TLS != nil {
		var err error
		if s.files[name], err = s.tls.issue(name, link); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		host, _, _ := net.SplitHostPort(s.hosts[link.To])
		host, _, _ = strings.Cut(host, "%") // a zone is in no certificate
		if c.Terminate, err = s.tls.terminate(name, link); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		if c.Originate, err = s.tls.originate(name, link, host); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	return proxy.Listen(c)
}

// address is the host:port of a target, a free one where none is given.
func (s *services) address(t *experiment.Target) (string, error) {
	switch {
	case t.URL != "":
		u, err := url.Parse(t.URL)
		if err != nil {
			return "", err
		}
		if u.Port() != "" {
			return u.Host, nil
		}
		if u.Scheme == "https" {
			return net.JoinHostPort(u.Hostname(), "443"), nil
		}
		return net.JoinHostPort(u.Hostname(), "80"), nil
	case t.Process != nil && t.Process.Listen != "":
		return t.Process.Listen, nil
	default:
		return freeAddress()
	}
}

// freeAddress finds a free port on 127.0.0.1 below the range that the kernel
// takes for outgoing connections: one that is free now cannot become somebody's
// source port before the target binds it.
func freeAddress() (string, error) {
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10240+rand.IntN(32768-10240)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr, nil
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}

// start starts the targets, those that are called before their callers, and
// returns when all are ready.
func (s *services) start(ctx context.Context, say func(string)) error {
	for _, name := range s.order() {
		target := s.x.Targets[name]
		say("starting " + name)
		if target.URL != "" {
			if err := s.reach(ctx, name); err != nil {
				return fmt.Errorf("target %s: %w", name, err)
			}
			continue
		}
		p, err := s.process(name, target)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		r, err := targets.Start(ctx, p)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		s.running[name] = r
		if target.Secure() {
			if err := s.probe(ctx, name); err != nil {
				return fmt.Errorf("target %s: %w", name, err)
			}
		}
	}
	return nil
}

// reach finds out whether a target that runs already is there, and lets us in.
func (s *services) reach(ctx context.Context, name string) error {
	_, socket := s.x.Targets[name].Socket()
	if !socket {
		if err := targets.Reachable(ctx, urlOf("http", s.addrs[name].String()), probeTimeout); err != nil {
			return err
		}
	}
	if socket || s.x.Targets[name].Secure() {
		return s.probe(ctx, name)
	}
	return nil
}

// probe opens a connection to a target as routes do. One that may choose what is
// spoken does so then, for the whole run.
func (s *services) probe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	protocol, err := load.Probe(ctx, s.way(name))
	if err == nil && s.x.Targets[name].Protocol == load.Auto {
		s.spoken[name] = protocol
		s.notes = append(s.notes, fmt.Sprintf("target %s speaks %s, as it chose itself", name, protocol))
	}
	return err
}

// order lists the targets so that the called come before the callers; a cycle
// is broken where its first name in the alphabet stands.
func (s *services) order() []string {
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		order = append(order, name) // marks a cycle's entry; moved to its place below
		for _, link := range sorted(s.x.Links) {
			if l := s.x.Links[link]; l.From == name {
				visit(l.To)
			}
		}
		i := slices.Index(order, name)
		order = append(slices.Delete(order, i, i+1), name)
	}
	for _, name := range sorted(s.x.Targets) {
		visit(name)
	}
	return order
}

// process is how to start a target of ours.
func (s *services) process(name string, t *experiment.Target) (targets.Process, error) {
	p := targets.Process{Name: name, Output: filepath.Join(s.dir, "targets", name+".log")}
	if t.Reference != "" {
		p.Command = s.referenceCommand(name, t)
		p.Ready = targets.Probe{URL: urlOf("http", s.addrs[name].String()) + "/healthz", Within: 10 * time.Second}
		p.StopWithin = time.Second
		return p, nil
	}
	lookup, err := s.variables(name)
	if err != nil {
		return p, err
	}
	expand := func(text string) string {
		out, e := experiment.Expand(text, lookup)
		err = errors.Join(err, e)
		return out
	}
	for _, arg := range t.Process.Command {
		p.Command = append(p.Command, expand(arg))
	}
	p.Env = []string{"ADDR=" + s.addrs[name].String(), "PORT=" + strconv.Itoa(int(s.addrs[name].Port()))}
	for _, key := range sorted(t.Process.Env) {
		p.Env = append(p.Env, key+"="+expand(t.Process.Env[key]))
	}
	for _, file := range sorted(t.Process.Files) {
		content := expand(t.Process.Files[file])
		if err == nil {
			err = writeUnder(s.targetDir(name), file, content)
		}
	}
	p.Dir = t.Process.Dir
	p.Ready = targets.Probe{Addr: s.addrs[name].String(), Within: t.Process.ReadyWithin}
	if path := t.Process.Ready; strings.HasPrefix(path, "/") {
		p.Ready = targets.Probe{URL: urlOf("http", s.addrs[name].String()) + path, Within: t.Process.ReadyWithin}
	}
	p.StopWithin = t.Process.StopWithin
	return p, err
}

func (s *services) referenceCommand(name string, t *experiment.Target) []string {
	command := append(slices.Clone(s.opts.Self), t.Reference, "--name", name, "--listen", s.addrs[name].String())
	for _, key := range sorted(t.With) {
		command = append(command, "--with", key+"="+t.With[key])
	}
	for _, link := range sorted(s.x.Links) {
		if s.x.Links[link].From == name {
			command = append(command, "--dep", link+"="+urlOf("http", s.relays[link].Addr()))
		}
	}
	return command
}

func (s *services) targetDir(name string) string { return filepath.Join(s.dir, "targets", name) }

// variables is what ${...} may name in a process target.
func (s *services) variables(name string) (func(string) (string, bool), error) {
	dir, err := filepath.Abs(s.targetDir(name))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	vars := map[string]string{"dir": dir}
	for target, t := range s.x.Targets {
		for part, value := range s.parts(target, t) {
			vars["targets."+target+"."+part] = value
			if target == name {
				vars[part] = value
			}
		}
	}
	for link, relay := range s.relays {
		for part, value := range parts("http", relay.Addr()) {
			vars["links."+link+"."+part] = value
		}
		for part, file := range s.files[link] {
			vars["links."+link+"."+part] = file
		}
		if t := s.x.Links[link].TLS; t != nil && t.Terminate != nil {
			vars["links."+link+".url"] = urlOf("https", relay.Addr())
		}
	}
	return func(v string) (string, bool) {
		if env, ok := strings.CutPrefix(v, "env."); ok {
			return os.LookupEnv(env)
		}
		value, ok := vars[v]
		return value, ok
	}, nil
}

// parts names the parts of a target's address as variables do.
func (s *services) parts(name string, t *experiment.Target) map[string]string {
	switch _, socket := t.Socket(); {
	case socket:
		return map[string]string{"url": t.URL, "addr": t.URL}
	case t.Secure():
		return parts("https", s.addrs[name].String())
	default:
		return parts("http", s.addrs[name].String())
	}
}

func parts(scheme, hostport string) map[string]string {
	host, port, _ := net.SplitHostPort(hostport)
	return map[string]string{"url": urlOf(scheme, hostport), "addr": hostport, "host": host, "port": port}
}

// urlOf is a URL of an address: there the % before a zone is %25.
func urlOf(scheme, hostport string) string {
	return (&url.URL{Scheme: scheme, Host: hostport}).String()
}

// writeUnder writes a file below dir; a name that leads out of it is refused.
func writeUnder(dir, name, content string) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("files: %q must be a plain path inside the target's folder", name)
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// closeLinks ends the links, and with them every exchange in progress.
func (s *services) closeLinks() error {
	var errs []error
	for name, relay := range s.relays {
		if err := relay.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close link %s: %w", name, err))
		}
	}
	clear(s.relays)
	return errors.Join(errs...)
}

// stop ends links and targets, callers before the called. It may be called
// again.
func (s *services) stop() error {
	errs := []error{s.closeLinks()}
	order := s.order()
	for _, name := range slices.Backward(order) {
		if r := s.running[name]; r != nil {
			if err := r.Stop(); err != nil {
				errs = append(errs, fmt.Errorf("stop target %s: %w", name, err))
			}
			delete(s.running, name)
		}
	}
	return errors.Join(errs...)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
