// Package agents has the load of a run sent by other machines.
//
//	run ──▶ Coordinator ──plan, start, pulse, halt──▶ broker ──▶ Agent ──▶ load.Run ──▶ system under test
//	             ▲                                      │           │
//	             └─── counts, seconds, samples ◀─stream─┴──spool◀───┘
//
// Nothing here elects, replicates or queues: that is the broker's work, NATS with
// JetStream, embedded or one that is there already. Nothing here places processes
// either: people, systemd or Kubernetes start agents.
//
// # Design
//
// An agent sends stripes of the schedule (load.Stripes): the union of all is the
// schedule of one process, arrival for arrival. Every second it hands over what it has
// counted, outcomes and histograms, and the samples of which it has: the first is added up
// at once, for live figures and limits, the others are recorded as there is time (backlog.go),
// as if an event loop of the run had seen them. So histograms, rulings and reports of one
// process and of many are made by the same code of the same samples, and what a running
// load costs the coordinator hardly grows with its rate (docs/agents.md).
//
// Targets, links and faults are the coordinator's. An agent touches nothing but the
// addresses that its own allow-list has, whatever a plan says, reads no file and no
// environment that a plan names, and takes one plan, once.
//
// Leases go both ways. An agent that is not heard of for LostAfter is lost: its share is
// unsent from then on, and nothing that stood has held. An agent that hears nothing for
// StopAfter stops its load by itself: its event loops ask for the lease before they send,
// so that one that was frozen does not send its backlog as it wakes up.
//
// Clocks are monotonic, each with a base of its own; between two of them lies an
// offset that is known within a bound (clock.go).
package agents

import "time"

const (
	// LostAfter is how long an agent may be unheard of before it is lost.
	LostAfter = 3 * time.Second
	// StopAfter is how long an agent that hears nothing of its run goes on.
	StopAfter = 5 * time.Second

	lookEvery = 100 * time.Millisecond // of an agent at its lease, of the coordinator at what is due of a lost agent
	lateAt    = 100 * time.Millisecond // by so much a timer is late in a process that stood still

	maxMessage = 1 << 20 // bytes: the broker takes no more
)
