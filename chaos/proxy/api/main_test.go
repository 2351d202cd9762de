package api

import (
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain sees to it that nothing goes on when the servers have been closed.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}
