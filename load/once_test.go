package load

import (
	"os"
	"testing"
)

// The tests run on the first of Transports, and TestTransports has those run again on
// each of the others that do not go over all of them by themselves, by everyTransport.
// Which one is the best for a plan is TestBestTransport's.
const transportVariable = "STORMCTL_TEST_TRANSPORT"

// once skips a test that goes over no transport where TestTransports would have
// it run again.
func once(t *testing.T) {
	t.Helper()
	if os.Getenv(transportVariable) != "" {
		t.Skip("it goes over no transport")
	}
}
