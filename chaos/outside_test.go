package chaos

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
)

// witness listens at an address outside of an experiment's limits, and counts
// who comes.
func witness(t *testing.T, host string) (port string, came *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	came = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, came
}

func runText(t *testing.T, text string) (*result.Result, error) {
	t.Helper()
	x, err := experiment.Parse("outside.yaml", []byte(text), experiment.Options{})
	if err != nil {
		return nil, err
	}
	return Run(t.Context(), x, Options{Out: t.TempDir() + "/run"})
}

// What limits.allow leaves out is refused before anything is sent, whether it is
// the load's target or only a link's, by number or by name.
func TestNothingReachesWhatIsOutside(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer inside.Close()
	port, came := witness(t, "127.0.0.2")
	byName, cameByName := witness(t, "127.0.0.1")
	for _, tt := range []struct {
		name, text, want string
	}{
		{"a target by number", fmt.Sprintf(`
name: outside
targets: {bank: {url: "http://127.0.0.2:%s"}}
load: {rate: 100/s, duration: 1s, routes: [{name: pay, to: bank, get: /}]}
claims: [{steady: {route: pay, success: 100%%}}]
limits: {allow: [127.0.0.1/32]}
`, port), "127.0.0.2 is outside limits.allow"},
		{"a target by name", fmt.Sprintf(`
name: outside
targets: {bank: {url: "http://localhost:%s"}}
load: {rate: 100/s, duration: 1s, routes: [{name: pay, to: bank, get: /}]}
claims: [{steady: {route: pay, success: 100%%}}]
limits: {allow: [127.0.0.2/32]}
`, byName), ":" + byName + " is outside limits.allow (127.0.0.2/32)"},
		{"behind a link", fmt.Sprintf(`
name: outside
targets: {shop: {url: "%s"}, bank: {url: "http://127.0.0.2:%s"}}
links: {payments: {from: shop, to: bank}}
load: {rate: 100/s, duration: 1s, routes: [{name: pay, to: shop, get: /}]}
claims: [{steady: {route: pay, success: 100%%}}]
limits: {allow: [127.0.0.1/32]}
`, inside.URL, port), "127.0.0.2 is outside limits.allow"},
	} {
		if _, err := runText(t, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if n := came.Load() + cameByName.Load(); n != 0 {
		t.Errorf("%d connections came to what is outside", n)
	}
}

// A redirect to the outside is an answer, and nobody goes there.
func TestRedirectsAreNotFollowed(t *testing.T) {
	port, came := witness(t, "127.0.0.2")
	inside := httptest.NewServer(http.RedirectHandler("http://127.0.0.2:"+port+"/", http.StatusFound))
	defer inside.Close()
	r, err := runText(t, fmt.Sprintf(`
name: redirect
targets: {bank: {url: "%s"}}
load: {rate: 100/s, duration: 1s, routes: [{name: pay, to: bank, get: /}]}
claims: [{steady: {route: pay, success: 100%%}}]
limits: {allow: [127.0.0.1/32]}
`, inside.URL))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Routes[0].Outcomes["ok"]; got != 100 {
		t.Errorf("%d of 100 requests were answered: %v", got, r.Routes[0].Outcomes)
	}
	if n := came.Load(); n != 0 {
		t.Errorf("%d connections came to where the redirect points", n)
	}
}
