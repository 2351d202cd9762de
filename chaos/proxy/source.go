package proxy

import "embed"

// Source is the source of the toxics: the comments of their fields are the
// manual of their keys in the experiment file.
//
//go:embed corrupt.go cycle.go drop_response.go duplicate.go errors.go grpc_code.go hang.go latency.go match.go
//go:embed partition.go reset.go select.go slow_body.go truncate.go
var Source embed.FS
