package input

// Kind is what a file holds.
type Kind struct {
	Name   string // with its article, like "a HAR recording"
	Most   int64  // bytes that it may have
	Binary bool   // its bytes are taken as they are
}

// The kinds that more than one package reads, or that say nothing of their
// reader. The most of each is far above what is sound, and below what would
// take the memory of the machine.
var (
	Targets     = Kind{Name: "a list of targets", Most: 256 << 20}
	HAR         = Kind{Name: "a HAR recording", Most: 256 << 20}
	Table       = Kind{Name: "a table of data", Most: 256 << 20}
	Times       = Kind{Name: "a list of times", Most: 256 << 20}
	Histograms  = Kind{Name: "a histogram log", Most: 256 << 20}
	Body        = Kind{Name: "a request body", Most: 64 << 20, Binary: true}
	Descriptors = Kind{Name: "a set of descriptors", Most: 64 << 20, Binary: true} // Google's own APIs together have less
	PEM         = Kind{Name: "a PEM file", Most: 4 << 20, Binary: true}            // the authorities of a system take 0.2 MiB
	Token       = Kind{Name: "a token", Most: 64 << 10}
	PidFile     = Kind{Name: "a pid file", Most: 4 << 10}
	Result      = Kind{Name: "a result", Most: 256 << 20}
	Note        = Kind{Name: "a note of why a run could not start", Most: 1 << 20}
)
