package experiment

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stormctl/stormctl/chaos/allow"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load"
)

// Target is one service. Exactly one of URL, Process and Reference is given.
type Target struct {
	// A service that runs already: http://host:port, https://host:port or unix:/path/of/socket.
	URL string `yaml:"url"`
	// With url: the file that holds the pid of the service's process, for faults on it; limits: {processes: [...]}
	// must allow its program. Relative to the experiment file, absolute once read.
	PidFile   string   `yaml:"pid_file"`
	Process   *Process `yaml:"process"`   // A service to start, watch and end.
	Reference string   `yaml:"reference"` // A service built into stormctl: frontend, page, worker, rpc or dependency.
	// Of a process or a reference service: so many of it run, which share its links and its routes; absent means 1. They
	// are started one after another, each once the one before is ready, and connections of routes lead to them in turn.
	// Faults that happen to all of them are restart and kill.
	Instances int `yaml:"instances"`
	// Settings of the reference service; `stormctl target --list` shows them. Variables are replaced as in the command of a process.
	With map[string]string `yaml:"with"`
	// What routes to it speak: http1 (default), h2 (by prior knowledge; by ALPN with tls), grpc (unary; the body is
	// the encoded message) or auto (h2 or http1 by TLS, as the service chooses when the run begins; http1 without).
	Protocol string `yaml:"protocol"`
	// Of protocol: grpc, a file of descriptors (protoc --include_imports --descriptor_set_out), relative to the
	// experiment file: the bodies of routes are then JSON. Absolute once read.
	Protoset string `yaml:"protoset"`
	Region   string `yaml:"region"` // Where it is, for region_loss; absent means nowhere in particular.
	TLS      *TLS   `yaml:"tls"`    // How routes reach it by TLS; for a process, that they do.
}

// Process is a service that stormctl starts. Its address is a free port on
// 127.0.0.1 unless Listen is given; the command learns it from ${port},
// ${addr} or the variables PORT and ADDR.
type Process struct {
	// Program and arguments. ${dir}, ${port}, ${addr}, ${links.NAME.url|addr|host|port}, of links with tls
	// ${links.NAME.ca|cert|key}, ${targets.NAME.url|addr|host|port} and ${env.NAME} are replaced; $${ is a plain ${.
	Command []string          `yaml:"command"`
	Env     map[string]string `yaml:"env"` // Added to the environment; variables are replaced as in command.
	// Working folder, relative to the experiment file; absent means the file's folder. Absolute once read.
	Dir string `yaml:"dir"`
	// Written into ${dir} before the start, by name; variables are replaced in the content.
	Files  map[string]string `yaml:"files"`
	Listen string            `yaml:"listen"` // host:port it listens on; absent picks a free port.
	// The user that it runs as, by name or number; absent means as stormctl does. It takes root. ${dir} and files are
	// then that user's; the folders above, and dir, must let the user in. Of the environment it gets the path, the
	// locale and env alone.
	User string `yaml:"user"`
	// own gives it a network namespace with an address of its own, ${addr}, which this machine and the other targets with
	// host: own reach, and no other machine; absent means that it shares the machine's. It takes CAP_NET_ADMIN and
	// CAP_SYS_ADMIN.
	Host string `yaml:"host"`
	// How it shows that it is ready: an HTTP path that answers below 400, "tcp" (the default), or {command: [...]}:
	// program and arguments, run again and again until it ends with exit status 0, as the user of the process, in its
	// folder and network namespace.
	Ready       Ready         `yaml:"ready"`
	ReadyWithin time.Duration `yaml:"ready_within"` // How long that may take; absent means 10s.
	StopWithin  time.Duration `yaml:"stop_within"`  // Time between SIGTERM and SIGKILL at the end; absent means 3s.
}

func (p *Process) Defaults() {
	p.Ready, p.ReadyWithin, p.StopWithin = Ready{Probe: "tcp"}, 10*time.Second, 3*time.Second
}

func (Process) Required() []string { return []string{"command"} }

func (p *Process) resolve(folder string) error {
	p.Dir = cmp.Or(p.Dir, ".")
	return absolute(folder, &p.Dir)
}

func (t *Target) resolve(folder string) error {
	if t.Process != nil {
		if err := t.Process.resolve(folder); err != nil {
			return err
		}
	}
	if t.TLS != nil {
		if err := t.TLS.resolve(folder); err != nil {
			return err
		}
	}
	if err := absolute(folder, &t.Protoset, &t.PidFile); err != nil {
		return err
	}
	socket, ok := t.Socket()
	if !ok {
		return nil
	}
	err := absolute(folder, &socket)
	t.URL = unixScheme + socket
	return err
}

const unixScheme = "unix:"

// Socket is the path of the unix socket that a target listens on, if it does.
func (t *Target) Socket() (path string, ok bool) { return strings.CutPrefix(t.URL, unixScheme) }

// scheme is that of the url.
func (t *Target) scheme() string {
	scheme, _, _ := strings.Cut(t.URL, ":")
	return scheme
}

// Secure reports whether routes reach the target by TLS.
func (t *Target) Secure() bool { return t.TLS != nil || t.scheme() == "https" }

// protocols are the values of Target.Protocol.
var protocols = []string{load.HTTP1, load.HTTP2, load.GRPC, load.Auto}

// settled is the protocol as far as it is known before a run: without TLS there
// is no choice.
func (t *Target) settled() string {
	if t.Protocol == load.Auto && !t.Secure() {
		return load.HTTP1
	}
	return t.Protocol
}

// speaks reports whether HTTP/2 may be spoken, if streams, or HTTP/1.1.
func (t *Target) speaks(streams bool) bool {
	switch t.settled() {
	case load.Auto:
		return true
	case load.HTTP2, load.GRPC:
		return streams
	default:
		return !streams
	}
}

// targetKinds are the keys of which a target has exactly one.
var targetKinds = []string{"url", "process", "reference"}

func (r *rules) target(name string, t *Target) {
	path := strict.Path("targets").Child(name)
	r.name(path, name, r.WrongKey)
	kind := r.OneOf(path, targetKinds)
	if with := path.Child("with"); r.Has(with) && kind != "" && kind != "reference" {
		r.WrongKey(with, "with: does not go with "+kind, "it is for reference services; a process has env and command")
	}
	if file := path.Child("pid_file"); r.Has(file) && kind != "" && kind != "url" {
		r.WrongKey(file, "pid_file: does not go with "+kind, "stormctl knows the process that it starts")
	}
	if at := path.Child("url"); r.Sound(at) {
		r.url(at, t.URL)
	}
	r.region(path.Child("region"), t.Region)
	r.instances(name, path.Child("instances"), kind, t)
	r.among(path.Child("protocol"), t.Protocol, "protocols", protocols)
	r.tls(path, kind, t)
	r.protoset(name, path.Child("protoset"), t)
	if r.Has(path.Child("process")) {
		r.process(path.Child("process"), t.Process)
	}
	if kind == "reference" {
		r.reference(path, t)
	}
}

// reference checks the name of a reference service, and lets it check its
// settings.
func (r *rules) reference(path strict.Path, t *Target) {
	at, with := path.Child("reference"), path.Child("with")
	if !r.Sound(at) {
		return
	}
	if r.opts.References != nil && !r.among(at, t.Reference, "reference services", r.opts.References) {
		return
	}
	if r.Has(with) && r.Bad(with) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t.With)) {
		r.variables(with.Child(key), t.With[key])
	}
	if r.opts.Reference == nil {
		return
	}
	for _, err := range flatten(r.opts.Reference(t.Reference, t.With)) {
		switch setting := firstNamed(err.Error(), t.With); {
		case setting != "":
			r.Wrong(with.Child(setting), err.Error(), "")
		case r.Has(with):
			r.WrongKey(with, "with: "+err.Error(), "")
		default:
			r.Wrong(at, "reference: "+err.Error(), "")
		}
	}
}

// firstNamed is the setting that a text names first; "" if it names none.
func firstNamed(text string, settings map[string]string) string {
	between := func(r rune) bool { return r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, word := range strings.FieldsFunc(text, between) {
		if _, ok := settings[word]; ok {
			return word
		}
	}
	return ""
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// socket checks the path of a unix socket.
func (r *rules) socket(path strict.Path, socket string) {
	switch whole := r.beside(socket); {
	case socket == "" || strings.HasPrefix(socket, "//"):
		r.Wrong(path, fmt.Sprintf("url: %s is not the path of a socket", strict.Quote(unixScheme+socket)),
			"write it like unix:/run/app.sock")
	case len(whole) > load.MaxUnixPath || strings.Contains(socket, "\x00"):
		r.Wrong(path, fmt.Sprintf("url: %s cannot be the path of a socket", strict.Quote(whole)),
			fmt.Sprintf("it has at most %d bytes", load.MaxUnixPath))
	case !r.socketAllowed(socket):
		r.Wrong(path, fmt.Sprintf("url: %s is outside limits.sockets", whole),
			fmt.Sprintf("it may be touched only if limits: {sockets: [%s]} says so", whole))
	}
}

// url checks the address of a service that is not ours to start.
func (r *rules) url(path strict.Path, text string) {
	if socket, ok := strings.CutPrefix(text, unixScheme); ok {
		r.socket(path, socket)
		return
	}
	u, err := url.Parse(text)
	const like = "write it like http://127.0.0.1:8080"
	switch {
	case err != nil || u.Opaque != "" || u.Scheme == "" || u.Hostname() == "":
		r.Wrong(path, fmt.Sprintf("url: %s is not a URL with a host", strict.Quote(text)), like)
	case u.Scheme != "http" && u.Scheme != "https":
		r.Wrong(path, fmt.Sprintf("url: scheme %s is not spoken", strict.Quote(u.Scheme)),
			like+", https://shop.example or unix:/run/app.sock")
	case u.User != nil:
		r.Wrong(path, "url: a user does not belong here", "send an Authorization header from the routes")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		r.Wrong(path, "url: path and query do not belong here", "the routes give them")
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port(), 1):
		r.Wrong(path, fmt.Sprintf("url: %s is not a port", strict.Quote(u.Port())), "ports are 1 to 65535")
	default:
		r.allowed(path, u.Hostname())
	}
}

func validPort(text string, least uint64) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port >= least
}

// allowed checks an address that needs no resolver to be known. Names are
// resolved, and then checked, when the run begins.
func (r *rules) allowed(path strict.Path, host string) {
	addr, err := netip.ParseAddr(host)
	if err != nil || r.Has("limits.allow") && r.Bad("limits.allow") {
		return
	}
	if list, err := allow.Parse(r.x.Limits.Allow); err != nil || list.Contains(addr) {
		return
	}
	r.Wrong(path,
		fmt.Sprintf("%s: %s is outside limits.allow", path.Tail(), host),
		fmt.Sprintf("it may be touched only if limits: {allow: [%s]} says so", allow.Only(addr)))
}

func (r *rules) process(path strict.Path, p *Process) {
	if at := path.Child("command"); r.Sound(at) && (len(p.Command) == 0 || p.Command[0] == "") {
		r.Wrong(at, "command: names no program", "write it like [./server, --port, \"${port}\"]")
	}
	for i, arg := range p.Command {
		r.variables(path.Child("command").Item(i), arg)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		at := path.Child("env", name)
		if strings.ContainsAny(name, "=\x00") {
			r.WrongKey(at, fmt.Sprintf("%s cannot be the name of an environment variable", strict.Quote(name)), "")
		}
		r.variables(at, p.Env[name])
	}
	r.processHost(path, p)
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		at := path.Child("files", name)
		if !fs.ValidPath(name) || name == "." || strings.Contains(name, "\x00") {
			r.WrongKey(at, fmt.Sprintf("%s is not a file below ${dir}", strict.Quote(name)), "write a relative path like conf/nginx.conf")
		}
		r.variables(at, p.Files[name])
	}
	r.ready(path.Child("ready"), p.Ready)
	r.positive(path.Child("ready_within"), p.ReadyWithin > 0)
	if at := path.Child("listen"); r.Sound(at) {
		if host, ok := r.hostPort(at, p.Listen, 1); ok {
			r.allowed(at, host)
		}
	}
}

// hostPort checks an address to listen on; least is the lowest port.
func (r *rules) hostPort(path strict.Path, text string, least uint64) (host string, ok bool) {
	addr, err := netip.ParseAddrPort(text)
	if err != nil && strings.HasPrefix(text, "localhost:") {
		addr, err = netip.ParseAddrPort("127.0.0.1" + strings.TrimPrefix(text, "localhost"))
	}
	if err != nil || uint64(addr.Port()) < least {
		r.Wrong(path, fmt.Sprintf("%s: %s is not an address to listen on", path.Tail(), strict.Quote(text)),
			"write IP and port, like 127.0.0.1:8080")
		return "", false
	}
	return addr.Addr().String(), true
}

// listeners checks that no two listen on the same address.
func (r *rules) listeners() {
	first := map[string]strict.Path{}
	claim := func(path strict.Path, addr string) {
		if !r.Sound(path) || strings.HasSuffix(addr, ":0") {
			return
		}
		if other := first[addr]; other != "" {
			r.Wrong(path, fmt.Sprintf("listen: %s is taken by %s", addr, other), "leave listen out for a free port")
			return
		}
		first[addr] = path
	}
	for _, name := range slices.Sorted(maps.Keys(r.x.Targets)) {
		if p := r.x.Targets[name].Process; p != nil {
			claim(strict.Path("targets").Child(name, "process", "listen"), p.Listen)
		}
	}
	for _, name := range r.links {
		claim(strict.Path("links").Child(name, "listen"), r.x.Links[name].Listen)
	}
}
