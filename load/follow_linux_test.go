package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// crossroads is a service whose paths lead to each other. It writes down what it was
// asked.
type crossroads struct {
	mu    sync.Mutex
	asked []string
}

func (c *crossroads) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func (c *crossroads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.asked = append(c.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s%s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)))
	c.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/to/"): // /to/STATUS?LOCATION
		var status int
		fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/to/"), &status)
		if r.URL.RawQuery != "" {
			w.Header().Set("Location", strings.ReplaceAll(r.URL.RawQuery, "HOST", r.Host))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "go there")
	case r.URL.Path == "/loop":
		w.Header().Set("Location", "loop")
		w.WriteHeader(302)
	case r.URL.Path == "/chain":
		w.Header().Set("Location", "/to/307?/to/308?/end")
		w.WriteHeader(303)
	default:
		_, _ = io.WriteString(w, "the end")
	}
}

// Redirects end where Go's client ends, on the same host; what is asked on the way is
// the same too.
func TestFollow(t *testing.T) {
	ended := Check{Of: CheckBody, Test: Contains, Want: "the end"}
	post := Route{Method: "POST", Body: []byte("body"), Headers: [][2]string{{"Content-Type", "text/plain+"}}}
	for _, tt := range []struct {
		name  string
		route Route
		path  string
		want  Outcome
		asked []string // behind the first
	}{
		{"301", post, "/to/301?/end", OK, []string{"GET /end"}},
		{"302", post, "/to/302?/end", OK, []string{"GET /end"}},
		{"303", post, "/to/303?/end", OK, []string{"GET /end"}},
		{"307", post, "/to/307?/end", OK, []string{"POST /end text/plain+body"}},
		{"308", post, "/to/308?/end", OK, []string{"POST /end text/plain+body"}},
		{"a GET once stays one", post, "/to/302?/to/307?/end", OK, []string{"GET /to/307?/end", "GET /end"}},
		{"a chain", Route{}, "/chain", OK, []string{"GET /to/307?/to/308?/end", "GET /to/308?/end", "GET /end"}},
		{"HEAD", Route{Method: "HEAD", Checks: []Check{{Of: CheckStatus, Test: Equals, Want: "200"}}}, "/to/302?/end", OK, []string{"HEAD /end"}},
		{"relative", Route{}, "/to/302?307?/end", OK, []string{"GET /to/307?/end", "GET /end"}},
		{"up", Route{}, "/to/302?../end", OK, []string{"GET /end"}},
		{"query", Route{}, "/to/302?/end?a=b%20c%23", OK, []string{"GET /end?a=b%20c%23"}},
		{"fragment", Route{}, "/to/302?/end%23x", OK, []string{"GET /end%23x"}},
		{"an URL", Route{}, "/to/302?http://HOST/end", OK, []string{"GET /end"}},
		{"no scheme", Route{}, "/to/302?//HOST/end", OK, []string{"GET /end"}},
		{"a path that is drawn", Route{}, "/to/302?/end?${seq}", OK, []string{"GET /end?1"}},
		{"no Location", Route{}, "/to/302", Wrong, nil}, // of the check: it is a response like others
		{"no redirect", Route{}, "/to/300?/end", Wrong, nil},
		{"another host", Route{}, "/to/302?http://127.0.0.1:1/end", Wrong, nil},
		{"another port", Route{}, "/to/302?http://127.0.0.1/end", Wrong, nil},
		{"another scheme", Route{}, "/to/302?https://HOST/end", Wrong, nil},
		{"no URL", Route{}, "/to/302?http://[", Wrong, nil},
		{"a loop", Route{}, "/loop", Wrong, []string{"GET /loop", "GET /loop", "GET /loop"}},
		{"too many", Route{}, "/to/302?/chain", Wrong, []string{"GET /chain", "GET /to/307?/to/308?/end", "GET /to/308?/end"}},
	} {
		for _, protocol := range []string{HTTP1, HTTP2} {
			t.Run(tt.name+" over "+protocol, func(t *testing.T) {
				t.Parallel()
				var c crossroads
				s := httptest.NewUnstartedServer(&c)
				s.Config.Protocols = new(http.Protocols)
				s.Config.Protocols.SetHTTP1(true)
				s.Config.Protocols.SetUnencryptedHTTP2(true)
				s.Start()
				defer s.Close()
				r := tt.route
				r.Addr, r.Protocol, r.Path, r.Follow, r.Timeout = s.Listener.Addr().String(), protocol, tt.path, 3, patient
				if r.Checks == nil {
					r.Checks = []Check{ended}
				}
				p := Plan{Schedule: at(0), Run: 1, Loops: 1, Stats: NewStats(1, time.Now()), Routes: []Route{r}}
				got := mustCollect(t, p)[0]
				if got.Outcome != tt.want || tt.want == OK && (got.Received < int64(len(tt.asked))*int64(len("the end")) || got.Sent > got.Done) {
					t.Errorf("got %+v, want %v", got, tt.want)
				}
				if asked := c.heard()[1:]; strings.Join(asked, ", ") != strings.Join(tt.asked, ", ") {
					t.Errorf("asked for %q, want %q", asked, tt.asked)
				}
				read := p.Stats.Read()
				if int(read.Followed) != len(tt.asked) || (read.Elsewhere != "") != (tt.want == Wrong && !strings.HasPrefix(tt.name, "no Loc") && tt.name != "no redirect") {
					t.Errorf("counted %d, %d: %s", read.Followed, read.Unfollowed, read.Elsewhere)
				}
			})
		}
	}
}

// A redirect of a route that follows none is a response.
func TestFollowIsOffByDefault(t *testing.T) {
	var c crossroads
	s := httptest.NewServer(&c)
	defer s.Close()
	got := mustCollect(t, Plan{Schedule: at(0), Run: 1, Routes: []Route{{Addr: s.Listener.Addr().String(), Path: "/to/302?/end", Timeout: patient}}})[0]
	if got.Outcome != OK || got.Status != 302 || len(c.heard()) != 1 {
		t.Errorf("got %+v after %q", got, c.heard())
	}
}

// All of a chain is one arrival: what a caller waited counts from when it was due.
func TestFollowTakesItsTime(t *testing.T) {
	for _, closed := range []bool{false, true} {
		const slow = 20 * time.Millisecond
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(slow)
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/end", http.StatusFound)
			}
		}))
		p := Plan{Schedule: together(20), Run: 1, Loops: 1, MaxConns: 2, Routes: []Route{{Addr: s.Listener.Addr().String(), Follow: 1, Timeout: patient}}}
		if closed {
			p.Schedule, p.Closed = nil, &Closed{Connections: 2, Requests: 20}
		}
		var samples []Sample
		if err := Run(t.Context(), p, time.Now(), func(_ int, x Sample) { samples = append(samples, x) }); err != nil {
			t.Fatal(err)
		}
		if len(samples) != 20 {
			t.Errorf("%d samples, want 20", len(samples))
		}
		for _, x := range samples {
			if x.Outcome != OK || x.Status != 200 || x.ServiceTime() < 2*slow || x.ResponseTime() < x.ServiceTime() {
				t.Errorf("closed %v: got %+v", closed, x)
			}
		}
		s.Close()
	}
}

func TestFollowRefuses(t *testing.T) {
	for want, r := range map[string]Route{
		"follow -1":          {Follow: -1},
		"gRPC":               {Follow: 1, Protocol: GRPC, Path: "/a.B/C"},
		"a route with steps": {Follow: 1, Then: []Step{{}}},
	} {
		r.Addr = "127.0.0.1:1"
		err := Run(t.Context(), Plan{Schedule: together(1), Routes: []Route{r}}, time.Now(), func(int, Sample) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
