package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/adhoc"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/load/requests"
	"github.com/stormctl/stormctl/load/wire"
)

// routes decides what is requested, finds out where that leads, and that
// somebody is there.
func (o *loadOptions) routes(ctx context.Context, target string, p *load.Plan, j *adhoc.Job) error {
	checks, err := o.checkList()
	if err != nil {
		return err
	}
	list, err := o.wanted(ctx, target, j)
	if err != nil {
		return err
	}
	if o.data != "" {
		if p.Data, err = input.Parse(o.data, input.Table, requests.ReadTable); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	p.InOrder = o.targets != ""
	for _, q := range list {
		to, err := o.reach(ctx, q.Scheme, q.Host, j)
		if err != nil {
			return err
		}
		p.Routes = append(p.Routes, load.Route{
			Name: q.Name(), Weight: q.Weight, Addr: to.Found.Addr, TLS: to.TLS, Protocol: to.Found.Protocol, Host: q.Host, Method: q.Method,
			Path: q.Path, Headers: q.Headers,
			Body: q.Body, Checks: checks, Timeout: o.timeout, Follow: o.follow,
		})
	}
	if o.protocol == load.GRPC {
		for i := range p.Routes {
			p.Routes[i].Method = ""
		}
	}
	j.Group, j.Groups = grouped(list)
	if len(list) > 1 {
		order := "by weight"
		if p.InOrder {
			order = "in turn"
		}
		j.Words += fmt.Sprintf("; %d requests %s", len(list), order)
		if len(j.Hosts) > 1 {
			j.Words += fmt.Sprintf(" to %d hosts", len(j.Hosts))
		}
	}
	return nil
}

// mostGroups is how many kinds of request are told apart. Each takes memory on
// every core, and a table of more is read by nobody.
const mostGroups = 20

// grouped finds the kinds of request: by method and path, without the query.
// Where there are too many of them, all are one.
func grouped(list []requests.Request) (group []int, names []string) {
	group = make([]int, len(list))
	index := map[string]int{}
	for i := range list {
		name := list[i].Name()
		at, known := index[name]
		if !known {
			if len(names) == mostGroups {
				return make([]int, len(list)), []string{"load"}
			}
			at = len(names)
			index[name], names = at, append(names, name)
		}
		group[i] = at
	}
	return group, names
}

// checkList reads the --check flags.
func (o *loadOptions) checkList() ([]load.Check, error) {
	var list []load.Check
	for _, text := range o.checks {
		c, err := load.ParseCheck(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--check %w", err)}
		}
		list = append(list, c)
	}
	return list, nil
}

// wanted are the requests of the URL or of a file, with the headers of the
// command line.
func (o *loadOptions) wanted(ctx context.Context, target string, j *adhoc.Job) ([]requests.Request, error) {
	headers, err := o.headerList()
	if err != nil {
		return nil, err
	}
	var list []requests.Request
	switch fromFile := o.targets != "" || o.har != ""; {
	case o.strict && o.har == "":
		return nil, usageError{errors.New("--strict is for the entries of a recording: it goes with --har")}
	case o.targets != "" && o.har != "":
		return nil, usageError{errors.New("--targets and --har exclude each other")}
	case fromFile && (o.method != "GET" || o.body != ""):
		return nil, usageError{errors.New("--method and --body are for a URL: each request of a file has its own")}
	case fromFile:
		if list, err = o.fromFile(j); err == nil && target != "" {
			err = redirect(list, target)
		}
	case target == "":
		return nil, usageError{errors.New("URL is missing; a file of requests, by --targets or --har, can be in its place")}
	default:
		list, err = o.fromURL(ctx, target, j)
	}
	for i := range list {
		list[i].Headers = withHeaders(list[i].Headers, headers)
	}
	return list, err
}

func (o *loadOptions) fromURL(ctx context.Context, target string, j *adhoc.Job) ([]requests.Request, error) {
	q, err := requests.New(o.method, target)
	if err != nil {
		return nil, usageError{err}
	}
	if q.Body, err = o.bodyBytes(); err == nil {
		q.Body, err = o.encoded(ctx, q, j)
	}
	return []requests.Request{q}, err
}

// encoded is the body as it is sent, where the command line has it in another
// form. No message begins like JSON, but with a group, which nobody writes any more.
func (o *loadOptions) encoded(ctx context.Context, q requests.Request, j *adhoc.Job) ([]byte, error) {
	body, json := q.Body, bytes.HasPrefix(bytes.TrimSpace(q.Body), []byte("{"))
	switch {
	case o.hex:
		out, err := hex.DecodeString(strings.Join(strings.Fields(string(body)), ""))
		if err != nil {
			return nil, usageError{fmt.Errorf("--hex: %w", err)}
		}
		return literal(out), nil
	case o.protocol == load.GRPC && (o.protoset != "" || o.reflect || json):
		flag := "--protoset"
		if o.protoset == "" {
			flag = "--reflect"
		}
		if bytes.Contains(body, []byte("${")) {
			return nil, usageError{fmt.Errorf("%s: a message in JSON has no placeholders: they would change lengths that it holds", flag)}
		}
		methods, err := o.descriptors(ctx, q, j)
		if err == nil {
			body, err = methods.Encode(q.Path, body)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		return literal(body), nil
	default:
		return body, nil
	}
}

// descriptors are those of --protoset, or of the server itself.
func (o *loadOptions) descriptors(ctx context.Context, q requests.Request, j *adhoc.Job) (*requests.Methods, error) {
	if o.protoset != "" {
		return input.Parse(o.protoset, input.Descriptors, requests.ReadDescriptors)
	}
	to, err := o.reach(ctx, q.Scheme, q.Host, j)
	if err != nil {
		return nil, err
	}
	headers, err := o.headerList() // some servers tell nobody without a token
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return requests.Reflect(ctx, requests.Server{Addr: to.Found.Addr, TLS: to.TLS, Host: q.Host, Headers: headers}, q.Path)
}

// literal is a body in which what looks like a placeholder is none.
func literal(body []byte) []byte { return []byte(wire.Literal(string(body))) }

func (o *loadOptions) fromFile(j *adhoc.Job) ([]requests.Request, error) {
	if o.targets != "" {
		list, err := input.ParseGiven(o.targets, input.Targets,
			func(r io.Reader) ([]requests.Request, error) { return requests.ReadVegeta(r, bodyFile) })
		if err != nil {
			return nil, fmt.Errorf("--targets: %w", err)
		}
		return list, nil
	}
	list, err := input.ParseGiven(o.har, input.HAR, func(r io.Reader) ([]requests.Request, error) {
		list, skipped, err := requests.ReadHAR(r)
		if err == nil && len(skipped) > 0 && o.strict {
			return nil, fmt.Errorf("%s (--strict: without it, entries that cannot be sent are left out)", skipped[0])
		}
		if err == nil {
			j.Notes = append(j.Notes, leftOut(o.har, skipped)...)
		}
		return list, err
	})
	if err != nil {
		return nil, fmt.Errorf("--har: %w", err)
	}
	return list, nil
}

// bodyFile is what a list of targets has in a file.
func bodyFile(name string) ([]byte, error) { return input.Read(name, input.Body) }

// leftOut tells which entries of a recording are not sent, a line for each
// reason.
func leftOut(file string, skipped []requests.Skipped) (lines []string) {
	const most = 10 // reasons; one may quote what only its entry has
	for i, s := range skipped {
		if i == most {
			entries := 0
			for _, s := range skipped[most:] {
				entries += s.Entries
			}
			return append(lines, fmt.Sprintf("%s: left out: %d more entries, for %d other reasons", file, entries, len(skipped)-most))
		}
		lines = append(lines, fmt.Sprintf("%s: left out: %s", file, s))
	}
	return lines
}

// withHeaders are the headers of a request with those of the command line, which
// stand in the place of others with their name.
func withHeaders(own, given [][2]string) [][2]string {
	kept := slices.DeleteFunc(own, func(h [2]string) bool {
		return slices.ContainsFunc(given, func(g [2]string) bool { return strings.EqualFold(g[0], h[0]) })
	})
	return append(kept, given...)
}

// redirect has all requests of a file go to a URL's host.
func redirect(list []requests.Request, target string) error {
	q, err := requests.New("GET", target)
	if err != nil {
		return usageError{err}
	}
	if q.Path != "/" {
		return usageError{fmt.Errorf("%s: beside a file of requests a URL has no path: it says which host they go to", target)}
	}
	for i := range list {
		list[i].Scheme, list[i].Host = q.Scheme, q.Host
	}
	return nil
}

// reach finds where a host is and probes it, so that one which is not there,
// or which we cannot talk to, is told of before anything begins. It does so
// once.
func (o *loadOptions) reach(ctx context.Context, scheme, host string, j *adhoc.Job) (to adhoc.Host, err error) {
	to.Base = scheme + "://" + host
	if i := slices.IndexFunc(j.Hosts, func(r adhoc.Host) bool { return r.Base == to.Base }); i >= 0 {
		return j.Hosts[i], nil
	}
	u := url.URL{Host: strings.Replace(host, "%25", "%", 1)} // of a zone (RFC 6874)
	port := "80"
	switch scheme {
	case "http":
	case "https":
		port = "443"
		if to.TLS, err = o.tlsConfig(u.Hostname()); err != nil {
			return to, err
		}
	default:
		return to, usageError{fmt.Errorf("%s: a URL like http://host:port/path is needed", to.Base)}
	}
	addrs := []string{"unix:" + o.unix}
	if o.unix == "" {
		if addrs, err = addressesOf(ctx, u.Hostname(), cmp.Or(u.Port(), port)); err != nil {
			return to, err
		}
	}
	if to.Found, err = load.ProbeAny(ctx, addrs, load.Route{TLS: to.TLS, Protocol: o.protocol}, o.timeout); err != nil {
		return to, err
	}
	for _, why := range to.Found.Failed {
		j.Notes = append(j.Notes, fmt.Sprintf("%s: an address is not used: %v", host, why))
	}
	j.Hosts = append(j.Hosts, to)
	return to, nil
}

// addressesOf finds where a host may be.
func addressesOf(ctx context.Context, host, port string) ([]string, error) {
	if host == "" {
		return nil, usageError{errors.New("the URL has no host: one like http://host:port/path is needed")}
	}
	ips, err := load.Lookup(ctx, host)
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.String(), port)
	}
	return addrs, err
}
