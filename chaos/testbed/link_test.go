package testbed

import (
	"net"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
)

// Where a port is taken, who runs the experiment is told of it once, and what to do.
func TestPortOfALinkIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	x := &experiment.Experiment{
		Targets: map[string]*experiment.Target{"shop": {URL: "http://127.0.0.1:1"}, "bank": {URL: "http://127.0.0.1:2"}},
		Links:   map[string]*experiment.Link{"payments": {From: "shop", To: "bank", Listen: taken.Addr().String()}},
	}
	b, err := Prepare(t.Context(), x, nil, Options{})
	if err == nil {
		b.Close()
		t.Fatal("it is bound")
	}
	text := err.Error()
	if strings.Count(text, "payments") != 1 || !strings.Contains(text, "address already in use") || !strings.HasSuffix(text, "leave listen out for a port that is free") {
		t.Errorf("%s", text)
	}
}
