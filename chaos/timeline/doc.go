// Package timeline injects faults on time and heals them. What a fault is, and
// what it happens to, is its caller's.
//
// # Design
//
// Every injection returns its heal, and a timeline returns only when all of
// them have been tried: there is no list of faults to clean up after.
package timeline
