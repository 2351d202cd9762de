// Package poll is how an event loop of ours waits: epoll, edge triggered, on a
// thread of its own, without a cost to Go's scheduler while there is work. The
// load engine's loops and the relay's of package proxy wait alike; what they do
// with what has happened is theirs.
package poll
