// Proving is a service around one implementation of a resilience pattern, as its
// own documentation sets it up, for stormctl's proving ground:
//
//	ADDR=127.0.0.1:8080 DEPENDENCY=http://127.0.0.1:7000 proving gobreaker
//
// Each request makes the call of its own method and path, and is answered what that
// came to. Settings that are not the library's defaults come from the environment,
// so that the experiment file shows them.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// doer makes the calls of one request. A response comes with an error where the
// library saw a failure in it.
type doer func(*http.Request) (*http.Response, error)

// implementations make the handler of each; they are called once.
var implementations = map[string]func() (http.Handler, error){
	"gobreaker":     calling(gobreakerDoer),
	"failsafe":      calling(failsafeBreakerDoer),
	"hystrix":       calling(hystrixDoer),
	"bulkhead":      calling(failsafeBulkheadDoer),
	"retryablehttp": calling(retryablehttpDoer),
	"cenkalti":      calling(cenkaltiDoer),
	"avast":         calling(avastDoer),
	"failsafehttp":  calling(failsafehttpDoer),
	"nethttp":       calling(nethttpDoer),
	"reverseproxy":  reverseProxy,
	"oxy":           oxyBreaker,
	"grpc":          grpcRetries,
	"grpcserver":    grpcServer,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "proving:", err)
		os.Exit(1)
	}
}

func run() error {
	names := slices.Sorted(maps.Keys(implementations))
	if len(os.Args) != 2 || implementations[os.Args[1]] == nil {
		return fmt.Errorf("give one of %s", strings.Join(names, ", "))
	}
	handler, err := implementations[os.Args[1]]()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	routes.Handle("/", handler)
	server := &http.Server{Handler: routes, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // which gRPC speaks
	ended, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ended.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// passed are the headers that a request hands on to its calls.
var passed = []string{"X-Request-Id", "Traceparent", "Idempotency-Key", "Content-Type"}

// calling answers a request with what its calls come to.
func calling(make func(*http.Client) doer) func() (http.Handler, error) {
	return func() (http.Handler, error) {
		dependency, err := url.Parse(os.Getenv("DEPENDENCY"))
		if err != nil {
			return nil, err
		}
		do := make(&http.Client{Timeout: setting("TIMEOUT", time.Second), Transport: transport()})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // the caller has gone
			}
			call, err := http.NewRequestWithContext(r.Context(), r.Method, dependency.JoinPath(r.URL.Path).String(), bytes.NewReader(body))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			for _, name := range passed {
				if v := r.Header.Get(name); v != "" {
					call.Header.Set(name, v)
				}
			}
			resp, err := do(call)
			if resp == nil {
				http.Error(w, fmt.Sprint(err), http.StatusServiceUnavailable)
				return
			}
			defer resp.Body.Close()
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
		}), nil
	}
}

// transport is net/http's own, with as many idle connections as calls come at a time.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024
	return t
}

// errStatus is a failure that is an answer.
var errStatus = errors.New("the dependency answers that it failed")

// failing turns an answer of 500 or more into a failure, as users of a library do that
// knows errors only.
func failing(resp *http.Response, err error) (*http.Response, error) {
	if err == nil && resp.StatusCode >= http.StatusInternalServerError {
		err = errStatus
	}
	return resp, err
}

// again makes an attempt of its own of a request whose body can be read again, and
// drops the answer of the one before.
func again(client *http.Client, call *http.Request, before *http.Response) (*http.Response, error) {
	if before != nil {
		_, _ = io.Copy(io.Discard, before.Body)
		_ = before.Body.Close()
	}
	attempt := call.Clone(call.Context())
	if call.GetBody != nil {
		body, err := call.GetBody()
		if err != nil {
			return nil, err
		}
		attempt.Body = body
	}
	return client.Do(attempt)
}

// setting is a time from the environment.
func setting(name string, absent time.Duration) time.Duration {
	d, err := time.ParseDuration(os.Getenv(name))
	if err != nil {
		return absent
	}
	return d
}

// number is a whole number from the environment.
func number(name string, absent int) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return absent
	}
	return n
}
