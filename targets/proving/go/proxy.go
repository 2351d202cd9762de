package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

// reverseProxy is httputil.ReverseProxy as it is: no timeout, no retry, no bound.
func reverseProxy() (http.Handler, error) {
	dependency, err := url.Parse(os.Getenv("DEPENDENCY"))
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(dependency) },
		Transport: transport(),
	}, nil
}
