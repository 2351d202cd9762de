package chaos

import (
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/export"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// exportStart is what other systems are told of a run before its first second.
func exportStart(x *experiment.Experiment, h evidence.Header) export.Start {
	s := export.Start{Name: h.Name, Started: h.Started, Routes: h.Routes, Skips: h.Skips, Batch: h.Batch.Duration()}
	for i := range h.Links {
		s.Links = append(s.Links, h.Links[i].Name)
	}
	for _, f := range h.Faults {
		s.Faults = append(s.Faults, export.Fault{Name: f.Name, On: f.On})
	}
	var claims []judge.Verdict
	for _, c := range x.Claims {
		claims = append(claims, judge.Verdict{Name: c.Title()})
	}
	s.Claims = result.Names(claims)
	return s
}
