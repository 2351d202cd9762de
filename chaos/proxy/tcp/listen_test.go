package tcp

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
)

// testLink is a relay under test.
type testLink struct {
	*wiretest.Link
	relay *Relay
}

// listen relays to upstream.
func listen(t *testing.T, upstream string, edit ...func(*Config)) *testLink {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c := Config{Config: wiretest.ConfigOf(upstream), promoteAfter: testPromoteAfter}
	for _, e := range edit {
		e(&c)
	}
	r, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Serve()
	return &testLink{wiretest.Watch(t, r, ignore), r}
}
