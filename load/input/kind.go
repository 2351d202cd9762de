package input

// Kind is what a file holds.
type Kind struct {
	Name    string // with its article, like "a HAR recording"
	MaxSize int64  // bytes that it may have
	Binary  bool   // its bytes are taken as they are
}

// The kinds that more than one package reads, or that say nothing of their
// reader. The most of each is far above what is sound, and below what would
// take the memory of the machine.
var (
	Targets     = Kind{Name: "a list of targets", MaxSize: 256 << 20}
	HAR         = Kind{Name: "a HAR recording", MaxSize: 256 << 20}
	Table       = Kind{Name: "a table of data", MaxSize: 256 << 20}
	Times       = Kind{Name: "a list of times", MaxSize: 256 << 20}
	Histograms  = Kind{Name: "a histogram log", MaxSize: 256 << 20}
	Body        = Kind{Name: "a request body", MaxSize: 64 << 20, Binary: true}
	Descriptors = Kind{Name: "a set of descriptors", MaxSize: 64 << 20, Binary: true} // Google's own APIs together have less
	PEM         = Kind{Name: "a PEM file", MaxSize: 4 << 20, Binary: true}            // the authorities of a system take 0.2 MiB
	Token       = Kind{Name: "a token", MaxSize: 64 << 10}
	PidFile     = Kind{Name: "a pid file", MaxSize: 4 << 10}
	Result      = Kind{Name: "a result", MaxSize: 256 << 20}
	Note        = Kind{Name: "a note of why a run could not start", MaxSize: 1 << 20}
)
