// Package link is what every relay of a link has, whatever is spoken on it: what
// it is told (Config), what it counts (Counters), how it makes and gives away the
// record of one exchange or connection (Record), and what ends when it is closed
// (Life). It moves no bytes.
//
// A connection whose sides do not take turns any more is a tunnel: bytes, and the end
// of each side, pass as if we were not there, until both have closed. It becomes one
// because it is upgraded, as both sides agreed (101, CONNECT), or because it is unread:
// bytes of one side were not understood. Of an unread one nothing is known any more,
// which rulings take into account (evidence.Unread); an upgraded one has been answered.
package link
