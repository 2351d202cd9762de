package proxy

import "embed"

// Source is the source of the toxics: the comments of their fields are the
// manual of their keys in the experiment file.
//
//go:embed errors.go latency.go partition.go reset.go select.go
var Source embed.FS
