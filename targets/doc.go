// Package targets owns the life of services: it starts them, waits until they
// are ready, kills and restarts them, and leaves nothing behind.
//
//	stormctl ──lifeline (pipe)──▶ supervisor ──fork──▶ command ──▶ its children ...
//	         ◀──report (pipe)────  own session,         own process group
//	                               subreaper
//
// # Design
//
// A service must end with stormctl, whatever ends stormctl: SIGKILL and the
// out-of-memory killer included. Each command therefore runs under a
// supervisor, which is our own binary in a hidden mode (see Supervise). The
// supervisor reads a pipe that only we can write to; when we are gone the
// kernel closes it and the read ends.
//
// PR_SET_PDEATHSIG between us and the supervisor would look simpler, but the
// signal is tied to the thread that forked, not to the process: the Go runtime
// may end that thread while we live on (golang/go#27505). Between supervisor
// and command it is used as a second line of defence, where the forking thread
// is locked and lasts as long as the supervisor.
//
// Children that leave the command's process group (setsid) stay descendants of
// the supervisor, because it is their subreaper: an orphan becomes its child.
// It kills its children until it has none. It never signals anyone else's, and
// a child that has not been waited for keeps its pid, so no pid is ever
// signalled after it was given to a stranger.
//
// The supervisor leads its own session: Ctrl-C at a terminal reaches stormctl
// alone, which then heals before it ends its targets.
package targets
