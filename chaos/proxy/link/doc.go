// Package link is what every relay of a link has, whatever is spoken on it: what
// it is told (Config), what it counts (Counters), how it makes and gives away the
// record of one exchange or connection (Record), and what ends when it is closed
// (Life). It moves no bytes.
package link
