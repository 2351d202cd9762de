package api

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/chaos/proxy"
)

func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		f := newFake(t, Config{Tell: func(text string) { told = append(told, text) }})
		defer f.Close()
		f.do(createP, 201)
		f.do(`POST /proxies/p/toxics {"type":"latency","ttl":"30s","attributes":{"latency":1}}`, 200)
		f.do(`POST /proxies/p/toxics {"type":"bandwidth"}`, 200)
		have := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := f.names(); !slices.Equal(got, want) {
				t.Errorf("toxics %v, want %v", got, want)
			}
			if got := len(f.last().toxics()); got != len(want) {
				t.Errorf("%d toxics in force, want %d", got, len(want))
			}
		}
		time.Sleep(20 * time.Second)
		body := f.do(`PATCH /proxies/p/toxics/latency_downstream {"ttl":"30s"}`, 200) // renewed
		if !strings.Contains(body, `"ttl":"30s","expires":"`) {
			t.Errorf("renewed: %s", body)
		}
		time.Sleep(20 * time.Second)
		f.do(`PATCH /proxies/p/toxics/latency_downstream {"attributes":{"latency":2}}`, 200) // not renewed
		time.Sleep(10*time.Second - time.Nanosecond)
		have("latency_downstream", "bandwidth_downstream")
		time.Sleep(time.Nanosecond)
		have("bandwidth_downstream")

		// Another toxic of that name is not the one that had the lease.
		f.do(`POST /proxies/p/toxics {"type":"latency","ttl":"10s"}`, 200)
		f.do(`DELETE /proxies/p/toxics/latency_downstream`, 204)
		f.do(`POST /proxies/p/toxics {"type":"latency"}`, 200)
		time.Sleep(time.Minute)
		have("bandwidth_downstream", "latency_downstream")

		// A lease can be taken off, and put on later.
		f.do(`PATCH /proxies/p/toxics/latency_downstream {"ttl":"10s"}`, 200)
		f.do(`PATCH /proxies/p/toxics/latency_downstream {"ttl":"0s"}`, 200)
		time.Sleep(time.Minute)
		have("bandwidth_downstream", "latency_downstream")

		// A proxy goes with all it has.
		f.do(`PATCH /proxies/p {"ttl":"10s"}`, 200)
		time.Sleep(9 * time.Second)
		f.do(`PATCH /proxies/p {"ttl":"10s"}`, 200)
		time.Sleep(9 * time.Second)
		f.do(`GET /proxies/p`, 200)
		time.Sleep(time.Second)
		synctest.Wait()
		f.do(`GET /proxies/p`, 404)
		if r := f.last(); !r.closed {
			t.Error("its relay is open")
		}
		f.do(createP, 201) // the name is free

		// One that ran out just as it was renewed, or its toxic replaced.
		f.do(`POST /proxies/p/toxics {"type":"latency","ttl":"10s"}`, 200)
		e, err := f.get("p")
		if err != nil {
			t.Fatal(err)
		}
		e.expire("latency_downstream", &lease{})
		e.expire("", &lease{})
		have("latency_downstream")

		want := []string{
			"the lease of toxic latency_downstream of proxy p has run out: it is taken out",
			"the lease of proxy p has run out: it is deleted",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		metrics := f.do("GET /metrics", 200)
		for _, want := range []string{`stormctl_lease_expiries_total{of="proxy",proxy="p"} 1`, `stormctl_lease_expiries_total{of="toxic",proxy="p"} 1`} {
			if !strings.Contains(metrics, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	})
}

func TestBadLeases(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	for ttl, want := range map[string]string{
		`30`:      `ttl: write it as a string with a unit, like \"30s\"`,
		`"30"`:    `ttl: \"30\" is not a duration`,
		`"-1s"`:   `ttl: \"-1s\" is negative`,
		`"9999h"`: `ttl: 9999h is more than 8760h`,
	} {
		body := f.do(`POST /proxies {"name":"p","upstream":"127.0.0.1:1","ttl":`+ttl+`}`, 400)
		if !strings.Contains(body, want) {
			t.Errorf("ttl %s: %s, want %s", ttl, body, want)
		}
	}
}

// TestNoCallHangs: a relay that does not come to its end holds up neither the
// call that ends it nor those that read.
func TestNoCallHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, Config{})
		f.do(createP, 201)
		f.do(`POST /proxies/p/toxics {"type":"timeout"}`, 200)
		stuck := make(chan struct{})
		f.last().hang = stuck
		begin := time.Now()
		var disabled sync.WaitGroup
		disabled.Go(func() { f.do(`PATCH /proxies/p {"enabled":false}`, 200) })
		synctest.Wait() // it waits for the relay now
		f.do("GET /proxies", 200)
		f.do("GET /proxies/p/toxics", 200)
		f.do("GET /metrics", 200)
		f.do(`POST /proxies {"name":"q","upstream":"127.0.0.1:1"}`, 201)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("reading waited %v", waited)
		}
		disabled.Wait()
		if waited := time.Since(begin); waited != patience {
			t.Errorf("disabling waited %v, want %v", waited, patience)
		}
		f.do(`PATCH /proxies/p {"enabled":true}`, 200)
		if got := f.last().toxics(); len(got) != 1 {
			t.Errorf("in force %v, want the one toxic again", got)
		}

		closed := make(chan struct{})
		go func() { f.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close does not wait for the relay")
		default:
		}
		close(stuck)
		<-closed
		if status, body := send(f.Server, createP); status != 503 || !strings.Contains(body, "the server is ending") {
			t.Errorf("after Close: %d %s", status, body)
		}
	})
}

// TestHitsOutliveToxics follows a toxic's count through all that may happen to
// it.
func TestHitsOutliveToxics(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	hits := func(toxic string, want int) {
		t.Helper()
		line := fmt.Sprintf("stormctl_toxic_hits_total{proxy=\"p\",stream=\"downstream\",toxic=%q,type=\"latency\"} %d\n", toxic, want)
		if metrics := f.do("GET /metrics", 200); !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s in\n%s", line, metrics)
		}
	}
	f.do(createP, 201)
	f.do(`POST /proxies/p/toxics {"name":"a","type":"latency"}`, 200)
	hits("a", 0)
	f.last().hit(0, 3)
	hits("a", 3)
	f.do(`PATCH /proxies/p/toxics/a {"attributes":{"latency":9}}`, 200)
	f.last().hit(0, 1)
	hits("a", 3+1)
	f.do(`DELETE /proxies/p/toxics/a`, 204)
	hits("a", 4)
	f.do(`POST /proxies/p/toxics {"name":"b","type":"latency"}`, 200) // takes the same index
	f.last().hit(0, 5)
	hits("a", 4)
	hits("b", 5)
	f.do(`PATCH /proxies/p {"enabled":false}`, 200)
	hits("b", 5)
	f.do(`PATCH /proxies/p {"enabled":true}`, 200) // a new relay counts from 0
	hits("b", 5)
	f.last().hit(0, 2)
	hits("b", 5+2)
	f.do(`POST /proxies/p/toxics {"name":"a","type":"latency"}`, 200)
	f.last().hit(1, 10)
	hits("a", 4+10)
	f.do(`DELETE /proxies/p`, 204)
	hits("a", 14)
	hits("b", 7)
	if want := `stormctl_toxic_overflow_total{proxy="p",stream="downstream",toxic="a",type="latency"} 1` + "\n"; !strings.Contains(f.do("GET /metrics", 200), want) {
		t.Errorf("metrics lack %s", want)
	}
}

// TestWhatIsListedIsInForce does anything in any order: the toxics in force are
// those that are listed, each once.
func TestWhatIsListedIsInForce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFake(t, Config{})
		defer f.Close()
		f.do(createP, 201)
		pick := func(words ...string) string { return rapid.SampledFrom(words).Draw(rt, "word") }
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				send(f.Server, fmt.Sprintf(`POST /proxies/p/toxics {"name":%q,"type":%q,"stream":%q,"toxicity":%s}`,
					pick("a", "b", "c"), pick("latency", "noop", "down", "nothing"), pick("upstream", "downstream", "both"), pick("1", "0", "0.5")))
			},
			"update": func(*rapid.T) {
				send(f.Server, fmt.Sprintf(`PATCH /proxies/p/toxics/%s {"toxicity":%s}`, pick("a", "b", "c"), pick("1", "0", "0.5")))
			},
			"remove": func(*rapid.T) { send(f.Server, "DELETE /proxies/p/toxics/"+pick("a", "b", "c")) },
			"toggle": func(*rapid.T) { send(f.Server, `PATCH /proxies/p {"enabled":`+pick("true", "false")+`}`) },
			"reset":  func(*rapid.T) { send(f.Server, pick("POST /reset", "POST /proxies/p/reset")) },
			"move":   func(*rapid.T) { send(f.Server, `PATCH /proxies/p {"upstream":"127.0.0.1:`+pick("1", "2")+`"}`) },
			"populate": func(*rapid.T) {
				send(f.Server, `POST /populate [{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","toxics":[{"type":"latency"}]}]`)
			},
			"": func(rt *rapid.T) {
				e, err := f.get("p")
				if err != nil {
					rt.Fatal(err)
				}
				var want []string
				for _, t := range e.toxics {
					if d, _ := t.direction(); !t.idle() && t.behaviour != nil {
						want = append(want, fmt.Sprintf("%d %v %v", t.index, d, t.behaviour))
					}
				}
				slices.Sort(want)
				for i, r := range f.relays {
					switch running := e.relay == proxy.Relay(r); {
					case running && !slices.Equal(r.toxics(), want):
						rt.Fatalf("in force %v, want %v", r.toxics(), want)
					case !running && !r.closed:
						rt.Fatalf("relay %d of %d is open", i+1, len(f.relays))
					}
				}
				if got := e.view(); got.Enabled != (e.relay != nil) || len(got.Toxics) != len(e.toxics) {
					rt.Fatalf("view %+v", got)
				}
			},
		})
	})
}

func TestCreatedWithToxics(t *testing.T) {
	f := newFake(t, Config{Seed: 7})
	defer f.Close()
	body := f.do(`POST /proxies {"name":"p","upstream":"127.0.0.1:1","toxics":[{"type":"latency","attributes":{"latency":5}},{"type":"down","stream":"both","ttl":"1m"}]}`, 201)
	for _, want := range []string{`"name":"latency_downstream"`, `"name":"down_both"`, `"ttl":"1m"`} {
		if !strings.Contains(body, want) {
			t.Errorf("created %s, want %s in it", body, want)
		}
	}
	want := []string{"0 downstream latency 5ms to 100%", "1 both down to 100%"}
	if got := f.last().toxics(); !slices.Equal(got, want) {
		t.Errorf("in force %q, want %q", got, want)
	}
	if got := f.last().config.Seed; got != 7 {
		t.Errorf("seed %d", got)
	}
	for _, toxics := range []string{`[{"type":"nothing"}]`, `[{"type":"down"},{"type":"down"}]`, `[{"type":"errors"}]`, `[{"type":"latency","attributes":{"latency":-1}}]`} {
		status, body := send(f.Server, `POST /proxies {"name":"q","upstream":"127.0.0.1:1","toxics":`+toxics+`}`)
		if status != 400 && status != 409 {
			t.Errorf("toxics %s: %d %s", toxics, status, body)
		}
	}
	f.do("GET /proxies/q", 404)
	if len(f.relays) != 1 {
		t.Errorf("%d relays were started, want 1", len(f.relays))
	}
	for i := len(f.names()); i < 1000; i++ {
		f.do(fmt.Sprintf(`POST /proxies/p/toxics {"type":"latency","name":"t%d"}`, i), 200)
	}
	if body := f.do(`POST /proxies/p/toxics {"type":"latency","name":"more"}`, 400); !strings.Contains(body, "at most 1000 toxics") {
		t.Errorf("one more: %s", body)
	}
}

func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		allow    []netip.Prefix
		upstream string
		want     int
	}{
		{nil, "127.0.0.1:80", 201},
		{nil, "127.200.0.1:80", 201},
		{nil, "[::1]:80", 201},
		{nil, "localhost:80", 201},
		{nil, "[::ffff:127.0.0.1]:80", 201},
		{nil, "192.0.2.1:80", 403},
		{nil, "[2001:db8::1]:80", 403},
		{nil, "0.0.0.0:80", 403}, // which the kernel takes for this host; nobody has asked for it
		{nil, "[::ffff:192.0.2.1]:80", 403},
		{nil, "name.invalid:80", 201}, // resolves to nothing now; each dial looks again
		{[]netip.Prefix{netip.MustParsePrefix("192.0.2.9/24")}, "192.0.2.1:80", 201},
		{[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "192.0.3.1:80", 403},
		{[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "127.0.0.1:80", 201},
		{nil, "127.0.0.1", 400},
		{nil, "127.0.0.1:nothing", 400},
	} {
		f := newFake(t, Config{Allow: tt.allow})
		status, body := send(f.Server, `POST /proxies {"name":"p","upstream":"`+tt.upstream+`"}`)
		if status != tt.want {
			t.Errorf("upstream %s with %v: %d %s, want %d", tt.upstream, tt.allow, status, body, tt.want)
		}
		if status == 403 && !strings.Contains(body, "is not allowed: it is outside 127.0.0.0/8, ::1/128") {
			t.Errorf("upstream %s: %s", tt.upstream, body)
		}
		f.Close()
	}

	if err := newAllowList([]netip.Prefix{netip.MustParsePrefix("fe80::/10")}).check(netip.MustParseAddrPort("[fe80::1%eth0]:80")); err != nil {
		t.Error(err) // on which link makes no difference
	}

	f := newFake(t, Config{})
	defer f.Close()
	f.do(createP, 201)
	f.do(`PATCH /proxies/p {"upstream":"192.0.2.1:80"}`, 403)
	f.do(`POST /populate [{"name":"q","upstream":"192.0.2.1:80"}]`, 403)
	if len(f.relays) != 1 {
		t.Errorf("%d relays, want the first alone", len(f.relays))
	}

	// At each dial: what a name stands for may have changed.
	allow := f.last().config.Allow
	if err := allow(netip.MustParseAddrPort("127.0.0.1:1")); err != nil {
		t.Error(err)
	}
	if err := allow(netip.MustParseAddrPort("192.0.2.1:80")); err == nil {
		t.Error("192.0.2.1 may be dialled")
	}
	if body := f.do("GET /proxies/p", 200); !strings.Contains(body, `"refused":"upstream 192.0.2.1:80 is not allowed`) {
		t.Errorf("nothing tells of it: %s", body)
	}
	if metrics := f.do("GET /metrics", 200); !strings.Contains(metrics, `stormctl_proxy_refused_dials_total{proxy="p"} 1`) {
		t.Errorf("metrics do not count it:\n%s", metrics)
	}
}

// TestTrafficOutlivesRelays: what has passed counts on when a proxy is stopped
// and started.
func TestTrafficOutlivesRelays(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	f.do(createP, 201)
	counted := func(times int) {
		t.Helper()
		metrics := f.do("GET /metrics", 200)
		for name, each := range map[string]int{ // as fakeRelay has them
			`stormctl_proxy_connections_total{proxy="p"}`: 2,
			`toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="` + f.last().Addr() + `",proxy="p",upstream="127.0.0.1:1"}`:       100,
			`toxiproxy_proxy_received_bytes_total{direction="upstream",listener="` + f.last().Addr() + `",proxy="p",upstream="127.0.0.1:1"}`:   101,
			`toxiproxy_proxy_sent_bytes_total{direction="downstream",listener="` + f.last().Addr() + `",proxy="p",upstream="127.0.0.1:1"}`:     200,
			`toxiproxy_proxy_received_bytes_total{direction="downstream",listener="` + f.last().Addr() + `",proxy="p",upstream="127.0.0.1:1"}`: 202,
		} {
			if want := fmt.Sprintf("%s %d\n", name, times*each); !strings.Contains(metrics, want) {
				t.Errorf("metrics lack %s in\n%s", want, metrics)
			}
		}
	}
	counted(1)
	f.do(`PATCH /proxies/p {"enabled":false}`, 200)
	counted(1)
	f.do(`PATCH /proxies/p {"enabled":true}`, 200)
	counted(2)
}

// TestManyAtOnce does everything from many sides at once. The race detector
// watches; in the end what is listed is in force, and nothing else is open.
func TestManyAtOnce(t *testing.T) {
	f := newFake(t, Config{})
	requests := []string{
		createP,
		`POST /populate [{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","protocol":"http1","ttl":"1h","toxics":[{"type":"reset"}]}]`,
		`POST /populate [{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:2"}]`,
		`PATCH /proxies/p {"enabled":false,"ttl":"1ms"}`,
		`PATCH /proxies/p {"enabled":true,"upstream":"127.0.0.1:3"}`,
		`POST /proxies/p/toxics {"name":"a","type":"latency","ttl":"1ms"}`,
		`POST /proxies/p/toxics {"name":"b","type":"partition"}`,
		`PATCH /proxies/p/toxics/a {"toxicity":0.5,"ttl":"2ms"}`,
		`PATCH /proxies/p/toxics/b {"attributes":{"share":"5%"}}`,
		`DELETE /proxies/p/toxics/a`,
		`DELETE /proxies/p`,
		`POST /reset`,
		`POST /proxies/p/reset`,
		`GET /proxies`,
		`GET /proxies/p/toxics/a`,
		`GET /metrics`,
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				request := requests[(i*7+n*(2*i+1))%len(requests)]
				if status, body := send(f.Server, request); status >= 500 {
					t.Errorf("%s: %d %s", request, status, body)
				}
			}
		})
	}
	all.Wait()
	f.Close()
	for i, r := range f.relays {
		if !r.closed {
			t.Errorf("relay %d of %d is open", i+1, len(f.relays))
		}
	}
	if n := len(f.all()); n != 0 {
		t.Errorf("%d proxies are left", n)
	}
}

// TestHalfMade: while a proxy is being started, nobody sees it, and nobody else
// gets its name.
func TestHalfMade(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	whole := f.listen
	f.listen = func(c proxy.Config, prepare func(proxy.Relay)) (proxy.Relay, error) {
		f.do("GET /proxies/p", 404)
		f.do(`PATCH /proxies/p {"enabled":false}`, 404)
		f.do(createP, 409)
		if body := f.do("GET /proxies", 200); body != "{}" {
			t.Errorf("listed %s", body)
		}
		return whole(c, prepare)
	}
	f.do(createP, 201)
	f.do("GET /proxies/p", 200)
	f.listen = func(proxy.Config, func(proxy.Relay)) (proxy.Relay, error) { return nil, errors.New("no") }
	f.do(`POST /proxies {"name":"q","upstream":"127.0.0.1:1"}`, 500)
	f.do("GET /proxies/q", 404)
	f.listen = whole
	f.do(`POST /proxies {"name":"q","upstream":"127.0.0.1:1"}`, 201)
}

// One proxy that cannot be started keeps no toxic of its own, nor those of
// others, in force.
func TestResetGoesOn(t *testing.T) {
	f := newFake(t, Config{})
	defer f.Close()
	whole := f.listen
	for _, name := range []string{"a", "b", "c"} {
		f.do(`POST /proxies {"name":"`+name+`","upstream":"127.0.0.1:1"}`, 201)
		f.do("POST /proxies/"+name+`/toxics {"type":"latency"}`, 200)
	}
	f.do(`POST /proxies/b {"enabled":false}`, 200)
	f.listen = func(proxy.Config, func(proxy.Relay)) (proxy.Relay, error) { return nil, errors.New("no") }
	f.do("POST /reset", 500)
	for _, name := range []string{"a", "b", "c"} {
		if body := f.do("GET /proxies/"+name+"/toxics", 200); body != "[]" {
			t.Errorf("%s has %s", name, body)
		}
	}
	f.listen = whole
	f.do("POST /reset", 204)
	if body := f.do("GET /proxies/b", 200); !strings.Contains(body, `"enabled":true`) {
		t.Errorf("reset left %s", body)
	}
}
