// Package testbed is what an experiment stands up: the addresses of its targets,
// the links between them, the targets that it starts, and the faults on all of
// them.
//
//	experiment ──▶ Prepare (addresses, links) ──▶ Hold (lease) ──▶ Start (targets) ──▶ Plan, Timeline
//	                  │                              │                 │
//	                  └───────────── Close ──────────┴─────────────────┘
//
// # Design
//
// What outlives our process is held under a lease (package lease), so that it is
// healed when we are not there to do it. Whether a fault can be made at all is
// asked before anything is started.
//
// An address is looked up once, and must be allowed: a name that points elsewhere
// later leads nowhere else.
package testbed
