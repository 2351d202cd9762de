package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/gameday"
	"github.com/stormctl/stormctl/chaos/guard"
	"github.com/stormctl/stormctl/reports"
)

const (
	mostAlerts    = 1000 // that are told apart
	longestLabel  = 200  // characters
	mostInMessage = 500
)

// alerts are those that were heard of, by name and instance, and whether they fire.
type alerts struct {
	mu      sync.Mutex
	firing  map[[2]string]bool
	changes int
}

// message is what Alertmanager's webhook sends, of it what is looked at.
type message struct {
	Alerts []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Fingerprint string            `json:"fingerprint"`
	} `json:"alerts"`
}

// changed takes note of an alert, and reports whether that changes anything: one that
// goes on is told again and again.
func (a *alerts) changed(e evidence.Alert) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.firing == nil {
		a.firing = map[[2]string]bool{}
	}
	key := [2]string{e.Name, e.Instance}
	was, known := a.firing[key]
	if known && was == e.Firing || !known && len(a.firing) >= mostAlerts || a.changes >= evidence.MaxAlerts {
		return false
	}
	a.firing[key] = e.Firing
	a.changes++
	return true
}

// alert takes what Alertmanager sends: POST /alerts, with the token of alerts as
// Authorization: Bearer. Each change of an alert joins the timeline, with the time at
// which it was heard.
func (c *Console) alert(w http.ResponseWriter, r *http.Request) {
	if !c.config.Tokens.alert(guard.Bearer(r)) {
		(&guard.Refusal{Status: http.StatusUnauthorized, Text: "alerts need their token: Authorization: Bearer TOKEN"}).Answer(w)
		return
	}
	var m message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		refuse(w, err)
		return
	}
	if len(m.Alerts) > mostInMessage {
		http.Error(w, "too many alerts at once: bound them by max_alerts", http.StatusRequestEntityTooLarge)
		return
	}
	for _, one := range m.Alerts {
		e := evidence.Alert{Name: label(one.Labels["alertname"]), Instance: label(one.Fingerprint), Firing: one.Status == "firing"}
		if e.Instance == "" {
			e.Instance = instance(one.Labels)
		}
		if _, ok := c.control.Now(); !ok || e.Name == "" || !c.heard.changed(e) {
			continue // without load there is no clock that it could be on; it is told again
		}
		if _, err := c.control.Note(evidence.Event{Kind: evidence.KindAlert, Alert: &e}); err == nil {
			status := "resolved"
			if e.Firing {
				status = "firing"
			}
			c.log(gameday.Entry{Who: "alerts", Role: "alerts", From: from(r), Do: gameday.Alerted, On: e.Name, Text: status,
				Outcome: gameday.Done, Lesser: true})
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// instance tells an alert without a fingerprint from others by its labels.
func instance(labels map[string]string) string {
	var all []string
	for name, value := range labels {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return label(strings.Join(all, ","))
}

func label(text string) string {
	runes := []rune(reports.Clean(text))
	return string(runes[:min(len(runes), longestLabel)])
}
