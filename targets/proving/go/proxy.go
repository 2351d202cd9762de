package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/vulcand/oxy/v2/cbreaker"
)

// reverseProxy is httputil.ReverseProxy as it is: no timeout, no retry, no bound.
func reverseProxy() (http.Handler, error) {
	dependency, err := url.Parse(os.Getenv("DEPENDENCY"))
	if err != nil {
		return nil, err
	}
	t := transport()
	t.ResponseHeaderTimeout = setting("TIMEOUT", 0)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(dependency) },
		Transport: t,
	}, nil
}

// oxyBreaker is the breaker of vulcand/oxy, which Traefik's circuitBreaker is, around a
// reverse proxy, with Traefik's times.
func oxyBreaker() (http.Handler, error) {
	next, err := reverseProxy()
	if err != nil {
		return nil, err
	}
	return cbreaker.New(next, os.Getenv("EXPRESSION"),
		cbreaker.FallbackDuration(setting("OPEN", 10*time.Second)), cbreaker.RecoveryDuration(setting("RECOVERY", 10*time.Second)))
}
