package series

import "embed"

// Source is the source of what a result has of this package: the comments of the fields are
// the descriptions of its schema.
//
//go:embed series.go
var Source embed.FS
