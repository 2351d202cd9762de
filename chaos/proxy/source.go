package proxy

import "embed"

// Source is the source of the toxics: the comments of their fields are the
// manual of their keys in the experiment file.
//
//go:embed cycle.go errors.go grpc_code.go latency.go match.go partition.go reset.go select.go
var Source embed.FS
