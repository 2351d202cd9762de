// Package transport is TCP as the relays need it: connections that close by a FIN or
// a RST as they are told (Conn), with TLS on them or not, dials that ask whether an
// address may be touched, and certificates for a run.
package transport
