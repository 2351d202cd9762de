// Package toxic says what the faults of a link are. It decides and does nothing:
// it knows no socket, and what acts on its decisions is chaos/proxy.
//
//	request head ──▶ Select: is it for this exchange? ──▶ DecideExchange ──▶ Fate
//	connection   ──▶ Select: is it for this connection? ─▶ DecideConn ──▶ ConnFate
//
// # Design
//
// A fault is a file: a type whose fields are the keys it has in an experiment,
// whose comments are the manual of those keys (see Source), and whose methods
// decide. Decisions are pure: what happened before is told to a toxic, and kept by
// none. Chance is an argument. It is drawn per exchange from the experiment's seed
// and the request id, or per connection from its number, and not from the order in
// which they happen to be served: the same seed hits the same requests.
//
// What several faults do to one exchange is the sum of their fates, which is the
// same in whatever order they are added (Fate.And).
package toxic
