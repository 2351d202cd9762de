package adhoc

import (
	"net/url"

	"github.com/stormctl/stormctl/chaos/export"
)

// exported is what other systems are told of the load before its first second. The
// query of its URL is left out, and so is a password.
func (r *Run) exported() export.Start {
	name := r.URL
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		name = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return export.Start{Name: name, Started: r.start, Routes: r.Groups, Batch: r.Plan.Batch, Closed: r.Plan.Closed != nil,
		Skips: r.Plan.MaxQueue != 0}
}
