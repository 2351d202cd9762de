package load

import (
	"net"
	"strings"
	"testing"
)

// Connections lead to the addresses of a service in turn, over each transport, and
// one that is not there refuses its share.
func TestConnectionsLeadToEachAddressInTurn(t *testing.T) {
	for _, transport := range []string{Epoll, Portable, IOURing} {
		t.Run(transport, func(t *testing.T) {
			if _, err := transportOf(transport); err != nil {
				t.Skip(err)
			}
			a, b := listen(t, says(okAnswer)), listen(t, says(okAnswer))
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			gone := l.Addr().String()
			l.Close()
			const n = 30
			by := map[Outcome]int{}
			for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, Transport: transport, MaxConns: 1, ConnRequests: 1,
				Routes: []Route{{Addr: a.addr, Others: []string{gone, b.addr}, Timeout: patient}}}) {
				by[s.Outcome]++
			}
			if by[OK] != 20 || by[Refused] != 10 || a.accepted.Load() != 10 || b.accepted.Load() != 10 {
				t.Errorf("%v; %d connections to the first, %d to the last", by, a.accepted.Load(), b.accepted.Load())
			}
		})
	}
	for _, r := range []Route{{Addr: "unix:/run/x.sock", Others: []string{"127.0.0.1:1"}}, {Addr: "127.0.0.1:1", Others: []string{"localhost:1"}}} {
		if _, err := prepare(Plan{Schedule: together(1), Run: 1, Routes: []Route{r}}); err == nil || !strings.Contains(err.Error(), "further address") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
