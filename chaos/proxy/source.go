package proxy

import "embed"

// Source is the source of the toxics: the comments of their fields are the
// manual of their keys in the experiment file.
//
//go:embed bandwidth.go down.go errors.go flap.go half_open.go latency.go limit_data.go partition.go reset.go reset_peer.go select.go slicer.go slow_close.go slow_connect.go stream.go timeout.go
var Source embed.FS
