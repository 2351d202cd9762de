package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/export"
)

// tokenVariable holds the token of the API if no file does.
const tokenVariable = "STORMCTL_TOKEN"

const (
	// webhookSecretVariable holds what signs the notices of --webhook.
	webhookSecretVariable = "STORMCTL_WEBHOOK_SECRET"

	// otlpHeadersVariable is OpenTelemetry's own: NAME=VALUE,NAME=VALUE, each
	// percent-encoded.
	otlpHeadersVariable = "OTEL_EXPORTER_OTLP_HEADERS"
)

// exportOptions are the flags of what other systems are told while a run goes on.
type exportOptions struct {
	metrics string // address; "" is none, as in the others
	otlp    string // URL
	webhook string // URL
}

func (o *exportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.metrics, "metrics", "", "serve Prometheus metrics at this `address` while it goes on, like 127.0.0.1:9464 (GET "+
		"/metrics); other than loopback needs a token by "+tokenVariable)
	f.StringVar(&o.otlp, "otlp", "", "push metrics and spans to the OpenTelemetry collector at this `URL`, like http://127.0.0.1:4318; "+
		"with the headers in "+otlpHeadersVariable)
	f.StringVar(&o.webhook, "webhook", "", "post what happens to this `URL`, as JSON; signed if "+webhookSecretVariable+" is set")
}

// open begins to tell what the flags say. The Live is nil if they say nothing. close is
// its undo: it gives receivers two seconds, and no more.
func (o *exportOptions) open(ctx context.Context, getenv func(string) string, say func(string)) (live *export.Live, close func(),
	err error) {
	if *o == (exportOptions{}) {
		return nil, func() {}, nil
	}
	headers, err := o.check(getenv)
	if err != nil {
		return nil, nil, usageError{err}
	}
	live = &export.Live{Version: ownVersion()}
	var undo []func()
	if o.metrics != "" {
		stop, err := o.serve(ctx, live, strings.TrimSpace(getenv(tokenVariable)), say)
		if err != nil {
			return nil, nil, err
		}
		undo = append(undo, stop)
	}
	if o.otlp != "" {
		undo = append(undo, live.OTLP(o.otlp, headers))
	}
	if o.webhook != "" {
		undo = append(undo, live.Webhook(o.webhook, []byte(getenv(webhookSecretVariable))))
	}
	return live, func() {
		var ended sync.WaitGroup
		for _, f := range undo {
			ended.Go(f) // all at once: each has its two seconds
		}
		ended.Wait()
		if lost := live.Lost(); lost != "" {
			say(lost)
		}
	}, nil
}

// check says what is wrong with the flags, before anything listens or starts.
func (o *exportOptions) check(getenv func(string) string) (headers http.Header, err error) {
	for _, f := range []struct{ flag, url, like string }{{"--otlp", o.otlp, "http://127.0.0.1:4318"}, {"--webhook", o.webhook,
		"https://chat.example/hooks/storm"}} {
		if f.url == "" {
			continue
		}
		if u, err := url.Parse(f.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%s %q: write a URL like %s", f.flag, f.url, f.like)
		}
	}
	headers = http.Header{}
	for pair := range strings.SplitSeq(getenv(otlpHeadersVariable), ",") {
		if o.otlp == "" || strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, errors.New(otlpHeadersVariable + ": write it like api-key=secret,tenant=storm") // its words are a secret
		}
		headers.Add(name, value)
	}
	return headers, nil
}

// serve begins to serve metrics; stop is its undo.
func (o *exportOptions) serve(ctx context.Context, live *export.Live, token string, say func(string)) (stop func(), err error) {
	addr, err := listenAddress(ctx, o.metrics, token != "", "127.0.0.1:8474", tokenOr(tokenVariable))
	if err != nil {
		return nil, usageError{fmt.Errorf("--metrics %q: %w", o.metrics, err)}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve --metrics: %w", err)
	}
	say(fmt.Sprintf("metrics at http://%s/metrics", listener.Addr()))
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a run that is stopped is scraped while it heals
	var served sync.WaitGroup
	served.Go(func() {
		if err := live.Serve(serving, listener, token); err != nil {
			say("no more metrics: " + err.Error())
		}
	})
	return func() { cancel(); served.Wait() }, nil
}

func tokenOr(by string) string { return "give a token by " + by + ", or listen on 127.0.0.1" }

// listenAddress is the address to bind, as a number, so that what was checked is what is
// bound. It must be on loopback unless it is safe; instead says how it gets that, and like
// how one is written.
func listenAddress(ctx context.Context, addr string, safe bool, like, instead string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", errors.New("write it as host:port, like " + like)
	}
	exposed := errors.New("it is not on loopback: " + instead)
	switch {
	case host == "" && safe:
		return addr, nil
	case host == "":
		return "", exposed
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	best := ips[0]
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() && !safe {
			return "", exposed
		}
		if ip.Unmap().Is4() && !best.Unmap().Is4() {
			best = ip
		}
	}
	return net.JoinHostPort(best.Unmap().String(), port), nil
}
