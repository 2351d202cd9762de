//go:build !linux || portable

package load

func bestTransport(bool) string { return Portable }

var systemTransports = map[string]func(*loop) (transport, error){
	"": newPortable,
}

func raiseFileLimit() {}
