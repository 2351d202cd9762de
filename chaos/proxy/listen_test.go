package proxy

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
)

// listen relays to upstream: HTTP/1.1, if no edit says otherwise.
func listen(t *testing.T, upstream string, edit ...func(*Config)) *wiretest.Link {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c := Config{Name: "payments", Upstream: upstream, Seed: 7, Run: 1}
	for _, e := range edit {
		e(&c)
	}
	r, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	return wiretest.Watch(t, r, ignore)
}
