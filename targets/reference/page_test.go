package reference

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// composed makes one page in a bubble whose dependencies take 10 ms for each call. It
// returns the calls, sorted, and how long the page took.
func composed(t *testing.T, with map[string]string, deps int, url string) (calls []string, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := parsePage(with)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		for _, name := range []string{"stock", "prices", "reviews"}[:deps] {
			names[name] = "http://" + name
		}
		p, err := newPage(s, names)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		answers := script{answer: func(_ int, req *http.Request) answer {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, req.URL.Host+" "+req.URL.RequestURI())
			if id := req.Header.Get("X-Request-Id"); id != "7" {
				t.Errorf("%s carries the id %q", req.URL, id)
			}
			return answer{takes: 10 * time.Millisecond}
		}}
		p.call = &answers
		begin := time.Now()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("X-Request-Id", "7")
		p.ServeHTTP(w, r)
		if took = time.Since(begin); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
	})
	slices.Sort(calls)
	return calls, took
}

// A sound page takes two calls one after another, however many items it has. Each flaw
// has its own number of calls or of those that follow one another.
func TestPage(t *testing.T) {
	for _, c := range []struct {
		with  map[string]string
		url   string
		calls int
		depth int
	}{
		{nil, "/page", 6, 2},
		{nil, "/page?items=42", 6, 2},
		{map[string]string{"calls": "0"}, "/page?items=42", 2, 2},
		{map[string]string{"flaw": "serial"}, "/page?items=42", 6, 6},
		{map[string]string{"flaw": "n-plus-one"}, "/page?items=10", 15, 11},
		{map[string]string{"flaw": "n-plus-one", "items": "42"}, "/page", 47, 43},
	} {
		calls, took := composed(t, c.with, 2, c.url)
		if len(calls) != c.calls || took != time.Duration(c.depth)*10*time.Millisecond {
			t.Errorf("%v %s: %d calls in %s, want %d, %d of them one after another: %v", c.with, c.url, len(calls), took, c.calls, c.depth, calls)
		}
	}
}

func TestPageAsksItsDependenciesInTurn(t *testing.T) {
	for deps, want := range map[int][]string{
		1: {"stock /items?items=3", "stock /list?items=3", "stock /part/1", "stock /part/2", "stock /part/3"},
		3: {"prices /items?items=3", "prices /list?items=3", "reviews /part/1", "reviews /part/3", "stock /part/2"},
	} {
		if got, _ := composed(t, map[string]string{"calls": "3"}, deps, "/page?items=3"); !slices.Equal(got, want) {
			t.Errorf("%d dependencies: %q, want %q", deps, got, want)
		}
	}
}

// What a page answers where it cannot be composed.
func TestPageThatFails(t *testing.T) {
	dependency := serving(t, "dependency", Config{With: map[string]string{"service_time": "200ms"}})
	slow := serving(t, "page", Config{Deps: map[string]string{"stock": dependency}, With: map[string]string{"timeout": "20ms"}})
	alone := serving(t, "page", Config{Deps: map[string]string{"stock": "http://127.0.0.1:1"}})
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/part/2") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(refusing.Close)
	refused := serving(t, "page", Config{Deps: map[string]string{"stock": refusing.URL}})
	for _, c := range []struct {
		url    string
		status int
		says   string
	}{
		{slow + "/page", http.StatusGatewayTimeout, "call /list: timed out after 20ms"},
		{slow + "/healthz", http.StatusOK, "ok"},
		{slow + "/pages", http.StatusNotFound, "/page"},
		{slow + "/page?items=1001", http.StatusBadRequest, "from 0 to 1000"},
		{slow + "/page?items=-1", http.StatusBadRequest, "from 0 to 1000"},
		{alone + "/page", http.StatusBadGateway, "call /list: "},
		{refused + "/page", http.StatusBadGateway, "call /part/2: status 503"},
	} {
		if status, _, body := fetch(t, http.MethodGet, c.url, ""); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %q, want %d %q", c.url, status, body, c.status, c.says)
		}
	}
}

func TestPageNeedsADependency(t *testing.T) {
	for deps, want := range map[string]string{"": "give it a link", "ftp://x": "is not an http://host:port URL"} {
		c := Config{Listen: "127.0.0.1:0"}
		if deps != "" {
			c.Deps = map[string]string{"stock": deps}
		}
		if err := Serve(t.Context(), "page", c, nil); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want %q", deps, err, want)
		}
	}
}
