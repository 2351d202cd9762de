// Package lease sees to it that nothing that stormctl breaks outside its own
// process outlives it: a process that stands still, a firewall rule, a limit, a
// filled disk, whatever a command did.
//
//	run ─────────────── Inject ───────────────▶ the fault
//	 │  ▲                 │ 1. journal the undo (fsync)
//	 │  │ "expired"       │ 2. inject the fault
//	 ▼  │ or its end      ▼
//	guardian ─── reads ─ journal ◀── reads ─── stormctl heal
//	 own session          one file per run, in a folder that the machine's user has
//
// # Design
//
// An undo is data, not code: another process performs it, perhaps after
// days and from another build. It is journalled, and on disk, before its fault
// is made; so what the journal names may not have been made yet, and each undo
// is made to be performed when there is nothing to undo, or twice.
//
// A guardian is our own binary in a session of its own. It reads a pipe that
// only the run writes to. The kernel closes the pipe when the last thread of
// the run is gone, so when the guardian sees the end, no system call of the run
// is under way that could still break something. A command that the run started
// may be: it carries a mark in its environment, and is killed by that mark
// before what it did is undone.
//
// The pipe tells of death at once. A run that is stuck (stopped by Ctrl-Z,
// thrashing, in a debugger) is not dead, and its faults must not stay either:
// so the run renews its lease, and when it does not, the guardian undoes what is
// in force and says so. A run that comes back finds its lease lost: what it was
// making it undoes, and it makes nothing further. Because it might be killed
// right then, the guardian undoes once more what was open when the run ends.
// The run takes its lease for lost no later than the guardian does: it counts
// from before it sends the renewal, the guardian from when it arrives.
//
// A pid is a name that is given again. An undo names a process by its pid and
// the time of its start, and sends its signals by pidfd.
//
// Which run is alive is known by locks on its journal, which the kernel drops with
// their holder: one that the run holds for its life, one that is held while
// its faults are undone, so that guardian and heal do not do it at once.
package lease
