package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

func (c *consumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		_, _ = io.WriteString(w, "ok\n")
	case "/ledger":
		c.answerLedger(w, r)
	case "/deliveries":
		c.noting.Lock()
		lines := c.lines[:len(c.lines):len(c.lines)]
		c.noting.Unlock()
		ids, keys := make([]string, len(lines)), make([]string, len(lines))
		for i, line := range lines {
			ids[i], keys[i], _ = strings.Cut(line, " ")
		}
		writeJSON(w, map[string]any{"count": len(ids), "ids": ids, "keys": keys})
	default:
		http.Error(w, "there are /ledger, /deliveries and /healthz", http.StatusNotFound)
	}
}

// answerLedger answers what is in the ledger if nothing more comes into it.
func (c *consumer) answerLedger(w http.ResponseWriter, r *http.Request) {
	c.noting.Lock()
	from := c.from
	c.noting.Unlock()
	left, err := 0, errors.New("it has not subscribed yet")
	if from != nil {
		left, err = from.left(r.Context())
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%d events are left", left)
	}
	var all json.RawMessage
	if err == nil {
		err = c.ledger.ask(r.Context(), "/ledger", &all)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, all)
}
