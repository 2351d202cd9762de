// Package meter measures what the machine does to this process while a load
// runs: how late a sleeping thread wakes up, how long Go's runtime stood still,
// what others took of the cores. A rule on what that means is load.Checkup's,
// which knows of requests and connections, too.
package meter
