package toxic

import "embed"

// Source is the source of the toxics: the comments of their fields are the
// manual of their keys in the experiment file.
//
//go:embed bandwidth.go corrupt.go cycle.go down.go drop_response.go duplicate.go errors.go
//go:embed flap.go grpc_code.go half_open.go hang.go latency.go limit_data.go
//go:embed match.go partition.go reset.go reset_peer.go select.go slicer.go
//go:embed slow_body.go slow_close.go slow_connect.go timeout.go truncate.go
var Source embed.FS
