package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// fakeRelay is a relay without a network: it knows what is in force.
type fakeRelay struct {
	config proxy.Config
	addr   string

	mu      sync.Mutex
	inForce map[*int]string // "index direction what"
	hits    [proxy.MaxIndex + 1]uint64
	closed  bool
	hang    chan struct{} // Close waits for it; nil does not
}

func (r *fakeRelay) Addr() string { return r.addr }

func (r *fakeRelay) Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	if r.config.Protocol == toxic.ProtocolTCP {
		return r.put(fmt.Sprintf("%d %v %v", index, d, t)), nil
	}
	return r.put(fmt.Sprintf("%d %v", index, t)), nil
}

func (r *fakeRelay) put(what string) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := new(int)
	r.inForce[key] = what
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.inForce, key)
	}
}

// toxics is what is in force, in the order of indexes.
func (r *fakeRelay) toxics() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, what := range r.inForce {
		all = append(all, what)
	}
	slices.Sort(all)
	return all
}

func (r *fakeRelay) hit(index int, times uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hits[index] += times
}

func (r *fakeRelay) Hit(index int) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits[index]
}

// Overflow is a tenth of the hits.
func (r *fakeRelay) Overflow(index int) uint64 { return r.Hit(index) / 10 }

func (r *fakeRelay) Close() error {
	r.mu.Lock()
	r.closed = true
	hang := r.hang
	r.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return nil
}

func (r *fakeRelay) Record(time.Time, func(evidence.Exchange)) {}
func (r *fakeRelay) InFlight() int                             { return 0 }
func (r *fakeRelay) Peak() int                                 { return 0 }
func (r *fakeRelay) Unsafe() uint64                            { return 0 }
func (r *fakeRelay) Unread() (uint64, string)                  { return 3, "response: malformed HTTP" }
func (r *fakeRelay) Failed() (<-chan struct{}, func() error)   { return nil, nil }
func (r *fakeRelay) Connections() int                          { return 0 }
func (r *fakeRelay) Accepted() uint64                          { return 2 }
func (r *fakeRelay) Bytes(d toxic.Direction) uint64            { return uint64(d) * 100 }
func (r *fakeRelay) Received(d toxic.Direction) uint64         { return uint64(d) * 101 }

// fake is a server whose relays are fakes.
type fake struct {
	*Server
	t      testing.TB
	mu     sync.Mutex
	relays []*fakeRelay // in the order of their start
}

func newFake(t testing.TB, c Config) *fake {
	f := &fake{Server: New(c), t: t}
	f.listen = func(c proxy.Config, prepare func(proxy.Relay)) (proxy.Relay, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		r := &fakeRelay{config: c, addr: strings.Replace(c.Listen, ":0", fmt.Sprintf(":%d", 40000+len(f.relays)), 1), inForce: map[*int]string{}}
		prepare(r)
		f.relays = append(f.relays, r)
		return r, nil
	}
	return f
}

// last is the relay that was started last.
func (f *fake) last() *fakeRelay {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.relays[len(f.relays)-1]
}

// do sends a request, "METHOD /path body", which must be answered with that
// status.
func (f *fake) do(request string, wantStatus int) string {
	f.t.Helper()
	status, body := send(f.Server, request)
	if status != wantStatus {
		f.t.Fatalf("%s: got %d %s, want %d", request, status, body, wantStatus)
	}
	return body
}

func send(s *Server, request string, header ...string) (status int, body string) {
	method, rest, _ := strings.Cut(request, " ")
	path, text, _ := strings.Cut(rest, " ")
	req := httptest.NewRequest(method, path, strings.NewReader(text))
	req.Host = "127.0.0.1:8474" // a header may say another
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	all, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(all)
}

// names lists the toxics of proxy p.
func (f *fake) names() []string {
	f.t.Helper()
	var toxics []toxicInput
	if err := json.Unmarshal([]byte(f.do("GET /proxies/p/toxics", 200)), &toxics); err != nil {
		f.t.Fatal(err)
	}
	names := []string{}
	for _, t := range toxics {
		names = append(names, *t.Name)
	}
	return names
}

const createP = `POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`
