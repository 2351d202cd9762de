package testbed

import (
	"errors"
	"maps"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/targets"
)

// process is how to start a target of ours, or the instance of that name.
func (b *Testbed) process(name string, t *experiment.Target) (targets.Process, error) {
	p := targets.Process{Name: name, Output: filepath.Join(b.opts.Dir, "targets", name+".log"), Soak: b.opts.Soak}
	lookup, err := b.variables(name)
	if err != nil {
		return p, err
	}
	expand := func(text string) string {
		out, e := experiment.Expand(text, lookup)
		err = errors.Join(err, e)
		return out
	}
	if t.Reference != "" {
		p.Command = b.referenceCommand(name, t, expand)
		p.Ready = targets.Probe{URL: urlOf("http", b.addrs[name].String()) + "/healthz", Within: 10 * time.Second}
		if t.Reference == "broker" { // the only one that does not speak HTTP
			p.Ready.Addr, p.Ready.URL = b.addrs[name].String(), ""
		}
		p.StopWithin = time.Second
		dir, e := filepath.Abs(b.targetDir(name))
		p.Command = append(p.Command, "--dir", dir)
		return p, errors.Join(err, e)
	}
	for _, arg := range t.Process.Command {
		p.Command = append(p.Command, expand(arg))
	}
	for _, arg := range t.Process.Ready.Command {
		p.Ready.Command = append(p.Ready.Command, expand(arg))
	}
	p.Env = []string{"ADDR=" + b.addrs[name].String(), "PORT=" + strconv.Itoa(int(b.addrs[name].Port()))}
	for _, key := range slices.Sorted(maps.Keys(t.Process.Env)) {
		p.Env = append(p.Env, key+"="+expand(t.Process.Env[key]))
	}
	for _, file := range slices.Sorted(maps.Keys(t.Process.Files)) {
		content := expand(t.Process.Files[file])
		if err == nil {
			err = writeNew(b.opts.Root, path.Join("targets", name, file), []byte(content))
		}
	}
	p.Dir = t.Process.Dir
	p.Ready.Addr, p.Ready.Within = b.addrs[name].String(), t.Process.ReadyWithin
	if path := t.Process.Ready.Probe; strings.HasPrefix(path, "/") {
		p.Ready.Addr, p.Ready.URL = "", urlOf("http", b.addrs[name].String())+path
	}
	p.StopWithin = t.Process.StopWithin
	if b.ownHost(name) {
		p.Netns = b.network.Path(name)
	}
	if err == nil && t.Process.User != "" {
		p.User, err = b.handOver(name, t.Process.User)
	}
	return p, err
}

func (b *Testbed) referenceCommand(name string, t *experiment.Target, expand func(string) string) []string {
	command := append(slices.Clone(b.opts.Self), t.Reference, "--name", name, "--listen", b.addrs[name].String())
	for _, key := range slices.Sorted(maps.Keys(t.With)) {
		command = append(command, "--with", key+"="+expand(t.With[key]))
	}
	for _, link := range slices.Sorted(maps.Keys(b.x.Links)) {
		if b.x.Links[link].From == b.targetOf(name) {
			command = append(command, "--dep", link+"="+urlOf("http", b.Relays[link].Addr()))
		}
	}
	return command
}

func (b *Testbed) targetDir(name string) string { return filepath.Join(b.opts.Dir, "targets", name) }

// variables is what ${...} may name in a process target.
func (b *Testbed) variables(name string) (func(string) (string, bool), error) {
	dir, err := filepath.Abs(b.targetDir(name))
	if err != nil {
		return nil, err
	}
	made, err := input.MakeFolder(b.opts.Root, path.Join("targets", name))
	if err != nil {
		return nil, err
	}
	_ = made.Close() // nothing was written to it
	vars := map[string]string{"dir": dir}
	for target, t := range b.x.Targets {
		for part, value := range b.parts(target, t) {
			vars["targets."+target+"."+part] = value
		}
	}
	maps.Copy(vars, b.parts(name, b.x.Targets[b.targetOf(name)]))
	vars["instance"] = strconv.Itoa(1 + slices.Index(b.instances(b.targetOf(name)), name))
	for link, relay := range b.Relays {
		for part, value := range parts("http", relay.Addr()) {
			vars["links."+link+"."+part] = value
		}
		for part, file := range b.files[link] {
			vars["links."+link+"."+part] = file
		}
		if t := b.x.Links[link].TLS; t != nil && t.Terminate != nil {
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
func (b *Testbed) parts(name string, t *experiment.Target) map[string]string {
	switch _, socket := t.Socket(); {
	case socket:
		return map[string]string{"url": t.URL, "addr": t.URL}
	case t.Secure():
		return parts("https", b.addrs[name].String())
	default:
		return parts("http", b.addrs[name].String())
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
