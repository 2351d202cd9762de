package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

var crowdFor = flag.Duration("crowd", 0, "how long a load goes on in TestGamedayCrowd; 0 leaves it out")

// A crowd costs the load nothing: a thousand ask for the stream of events, of whom as many
// as may get it, and every second one of those reads nothing of it; and somebody asks again
// and again for what is refused. Send lags are told, alone and with the crowd, in turns.
func TestGamedayCrowd(t *testing.T) {
	if *crowdFor == 0 {
		t.Skip("run it with make gameday-crowd")
	}
	for round := range 3 {
		for _, many := range []int{0, 1000} {
			t.Run(fmt.Sprintf("%d of them, round %d", many, round+1), func(t *testing.T) {
				g := gather(t, strings.Replace(gamedayFile, "rate: 60/s", "rate: 2000/s", 1))
				owner, _ := g.begin()
				observer := g.enter("observer", "Eve")
				served, refused := g.crowd(many), 0
				for begun := time.Now(); time.Since(begun) < *crowdFor; time.Sleep(100 * time.Millisecond) {
					if many > 0 {
						refused += g.refuses(observer)
					}
				}
				owner.must("/end")
				<-g.ended
				_ = g.cmd.Wait()
				h := rulingsOf(t, g.dir).Harness
				t.Logf("%d streams served, %d requests refused: send lag p50 %.3f ms, p99 %.3f ms, max %.3f ms; hiccups up to %.1f ms; %.2f cores",
					served, refused, h.SendLag.P50, h.SendLag.P99, h.SendLag.Max, h.HiccupMax, h.CPU)
			})
		}
	}
}

// refuses asks for what is to be refused: from a foreign page, by a foreign name, without a
// token, in a role that may not, and with 10 MB, as an observer. It returns how often.
func (g *gathering) refuses(observer someone) (n int) {
	g.t.Helper()
	for _, c := range []struct {
		path, host, origin, body string
		cookie                   bool
		want                     int
	}{
		{"/halt", "rebind.example", "", "x=1", true, http.StatusForbidden},
		{"/halt", "", "http://evil.example", "x=1", true, http.StatusForbidden},
		{"/halt", "", "", "x=1", false, http.StatusUnauthorized},
		{"/inject", "", "", "choice=0", true, http.StatusForbidden},
		{"/halt", "", "", strings.Repeat("x", 10<<20), true, http.StatusRequestEntityTooLarge},
	} {
		r, err := http.NewRequest("POST", g.url+c.path, strings.NewReader(c.body))
		if err != nil {
			g.t.Fatal(err)
		}
		r.Host = c.host // "" is that of the URL
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Stormctl-Script", "1")
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.cookie {
			r.AddCookie(observer.cookie)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			continue // it was cut off in the middle of its 10 MB
		}
		_ = res.Body.Close()
		if res.StatusCode != c.want {
			g.t.Errorf("%s from %q by %q with %d bytes: %s, want %d", c.path, c.origin, c.host, len(c.body), res.Status, c.want)
		}
		n++
	}
	return n
}

// crowd has so many ask for the stream of events, four for each of 250 people, until the
// test ends, and returns how many get it.
func (g *gathering) crowd(many int) (served int) {
	var someone someone
	for i := range many {
		if i%4 == 0 {
			someone = g.enter("observer", fmt.Sprintf("Eve %d", i/4))
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { _ = conn.Close() })
		r, err := http.NewRequest("GET", g.url+"/events", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		r.AddCookie(someone.cookie)
		if err := r.Write(conn); err != nil {
			g.t.Fatal(err)
		}
		status := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 200" {
			continue // refused: by an answer, or where too many connections are open by none
		}
		if served++; served%2 == 0 {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}
	return served
}
