// Package adhoc runs a load that no experiment describes, and tells what it came
// to.
package adhoc

import (
	"crypto/tls"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/export"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports"
)

// Job is a load that can be run.
type Job struct {
	URL        string
	Plan       load.Plan
	Words      string        // what is offered
	Hosts      []Host        // that requests go to, in the order in which they were met
	Auto       bool          // what is spoken there was not given
	Warmup     time.Duration // before all of it
	Groups     []string      // kinds of request that are told apart in the result
	Group      []int         // which of them each route of the plan is
	Offered    rate.Limit    // on average; 0 in the closed model
	Span       time.Duration // for how long; 0 if that is not known beforehand
	Notes      []string      // what the user should know before
	Thresholds []Threshold

	Record string // file of a line for every request; "" is none
	Hlog   string // file of a histogram log; "" is none

	Export *export.Live // is told what other systems are to know; nil is none
}

// Host is where requests to a host go.
type Host struct {
	Base  string // the host as URLs have it, with their scheme
	Found load.Reached
	TLS   *tls.Config // nil is without
}

// length is how long the load is meant to last without its warm-up; 0 if only
// its requests end it.
func (j *Job) length() time.Duration {
	if c := j.Plan.Closed; c != nil {
		return max(0, c.Duration-j.Warmup)
	}
	return j.Plan.Schedule.Duration() - j.Warmup
}

// hosts is what a result says of them.
func (j *Job) hosts() (hosts []reports.Host) {
	for _, to := range j.Hosts {
		hosts = append(hosts, reports.Host{URL: to.Base, Addr: to.Found.Addr, Addresses: to.Found.Candidates,
			Protocol: to.Found.Protocol, Auto: j.Auto})
	}
	return hosts
}
