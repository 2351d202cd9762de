package experiment

import "github.com/stormctl/stormctl/chaos/experiment/strict"

// Origin is where an experiment was read from, for what is said about its claims
// later: the file of the run directory is another one, written from the structs.
// The zero value is not known.
type Origin struct {
	File  string // as it was given
	Lines []int  // of each claim in it, from 1; 0 for one that --set gave
}

// originOf is where the claims of a file stand that was read without an error.
func originOf(d *strict.Doc, claims int) Origin {
	o := Origin{File: d.File, Lines: make([]int, claims)}
	for i := range o.Lines {
		_, o.Lines[i], _ = d.Place(strict.Path("claims").Item(i))
	}
	return o
}
