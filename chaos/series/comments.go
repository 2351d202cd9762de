package series

import "embed"

// Comments is the source of what a result has of this package: the comments of the fields are
// the descriptions of its schema.
//
//go:embed series.go targets.go
var Comments embed.FS
