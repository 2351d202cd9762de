package agents

import (
	"bytes"
	"time"

	"pgregory.net/rapid"

	"github.com/stormctl/stormctl/load/hist"
)

// logOf is a histogram as its log has it.
func logOf(t *rapid.T, h *hist.Histogram) string {
	var text bytes.Buffer
	log, err := hist.NewLogWriter(&text, time.Unix(0, 0), "test")
	if err == nil {
		err = log.Write(0, time.Second, hist.Tagged{Tag: "all", Histogram: h})
	}
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}
