// Package greeting reads what a server says first on a connection: whether it lets
// the caller in, and with which code it refuses. A relay of connections sees a refusal
// as an ordinary connection otherwise, which was accepted, got a few bytes, and ended.
//
//	server ── first bytes ──▶ Reader.Read ──▶ "ok", or a code like 53300
//
// # Design
//
// Only what the server says is read, because a caller may send secrets, and only until
// it has said whether the caller is in: through the exchange of a password, not beyond.
// What cannot be read, as bytes of TLS, has no code: nothing is said of it rather than
// something wrong.
//
// One file is one protocol: a function of all bytes so far, so that it makes no
// difference how they were cut. It is pure.
package greeting
