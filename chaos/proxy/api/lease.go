package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// lease is how long something stays unless it is renewed.
type lease struct {
	ttl     time.Duration
	expires time.Time
	timer   *time.Timer
}

// end keeps it from expiring. A lease that is nil never does.
func (l *lease) end() {
	if l != nil {
		l.timer.Stop()
	}
}

// leaseView is a lease as it is answered: nothing if there is none.
type leaseView struct {
	TTL     string `json:"ttl,omitempty"`
	Expires string `json:"expires,omitempty"`
}

func (l *lease) view() leaseView {
	if l == nil {
		return leaseView{}
	}
	return leaseView{unit.FormatDuration(l.ttl), l.expires.UTC().Format(time.RFC3339Nano)}
}

// ttl is a duration in JSON, "30s"; 0 is for no lease.
type ttl time.Duration

// maxTTL bounds a lease. A longer one would be none in effect.
const maxTTL = 24 * 365 * time.Hour

// UnmarshalJSON makes ttl a json.Unmarshaler.
func (t *ttl) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("ttl: write it as a string with a unit, like \"30s\"")
	}
	d, err := unit.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("ttl: %w", err)
	}
	if d > maxTTL {
		return fmt.Errorf("ttl: %s is more than %s: leave it out for no end", text, unit.FormatDuration(maxTTL))
	}
	*t = ttl(d)
	return nil
}

// renewed is the lease for what had old: as it is if t says nothing, none if t
// is 0. expire is called when it has run out, by a goroutine of its own, while
// no lock is held, and never after the server has been closed.
func (s *Server) renewed(old *lease, t *ttl, expire func(*lease)) *lease {
	if t == nil {
		return old
	}
	old.end()
	if *t == 0 {
		return nil
	}
	d := time.Duration(*t)
	l := &lease{ttl: d, expires: time.Now().Add(d)}
	l.timer = time.AfterFunc(d, func() {
		if s.begin() == nil {
			defer s.ops.Done()
			expire(l)
		}
	})
	return l
}
