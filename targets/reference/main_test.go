package reference

import (
	"testing"

	"go.uber.org/goleak"
)

// No connection, however it ended, leaves a goroutine behind. Hystrix does, for
// each of its circuits: it keeps them for ever.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/afex/hystrix-go/hystrix.(*metricExchange).Monitor"),
		goleak.IgnoreAnyFunction("github.com/afex/hystrix-go/hystrix.(*poolMetrics).Monitor"))
}
