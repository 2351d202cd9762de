// Package host has the faults that happen outside our own process: to processes
// of targets, to file systems, in network namespaces, and whatever a command
// does. All are made under a lease, so that none outlives the run.
//
//	Fault ──Check──▶ what is missing, before anything is started
//	      ──Plan───▶ what it would touch, and its undo
//	      ──Inject─▶ lease.Inject: journal, then break ──▶ heal
//
// # Design
//
// A fault knows its undo before it does anything: what it has to remember (the
// limit that was, the cgroup that a process came from) it reads first.
//
// Each fault touches what it names and nothing else, and refuses rather than
// guesses: a process that limits do not allow, a file system that others lean
// on, a device that is shaped already.
//
// Where the kernel or a tool lacks what a fault needs, Check says which piece,
// and what would do instead. Nothing falls back by itself: cpu by cgroup and cpu
// by SIGSTOP are different faults, and which one a claim was tried with must
// stand in the experiment.
package host
