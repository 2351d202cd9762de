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
// as may get it, and every second one of those reads nothing of it. Send lags are told,
// alone and with the crowd, in turns.
func TestGamedayCrowd(t *testing.T) {
	if *crowdFor == 0 {
		t.Skip("run it with make gameday-crowd")
	}
	for round := range 3 {
		for _, many := range []int{0, 1000} {
			t.Run(fmt.Sprintf("%d of them, round %d", many, round+1), func(t *testing.T) {
				g := gather(t, strings.Replace(gamedayFile, "rate: 60/s", "rate: 2000/s", 1))
				owner, _ := g.begin()
				served := g.crowd(many)
				time.Sleep(*crowdFor)
				owner.must("/end")
				<-g.ended
				_ = g.cmd.Wait()
				h := rulingsOf(t, g.dir).Harness
				t.Logf("%d streams served: send lag p50 %.3f ms, p99 %.3f ms, max %.3f ms; hiccups up to %.1f ms; %.2f cores", served,
					h.SendLag.P50, h.SendLag.P99, h.SendLag.Max, h.HiccupMax, h.CPU)
			})
		}
	}
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
		if _, err := io.ReadFull(conn, status); err != nil {
			g.t.Fatal(err)
		}
		if string(status) != "HTTP/1.1 200" {
			continue
		}
		if served++; served%2 == 0 {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}
	return served
}
