// Package requests reads what a load is made of from the files that other tools
// write: vegeta's targets, HAR recordings, and tables of data for the
// placeholders of requests.
//
//	vegeta targets ─┐
//	HAR 1.2 ────────┴─▶ []Request ──(addresses resolved)──▶ []load.Route
//	CSV, JSON lines ──▶ wire.Table ─────────────────────────▶ Plan.Data
//
// # Design
//
// Everything is read before the load begins: a mistake in line 40,000 must not
// show after an hour. An error names the line or the entry.
//
// Nothing here opens a file by itself, resolves a name or knows a network: the
// caller gives readers, decides what a reference to another file may open, and
// turns each Request's URL into an address.
package requests
