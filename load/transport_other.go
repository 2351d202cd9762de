//go:build !linux

package load

func bestTransport() string { return Portable }

var systemTransports = map[string]func(*loop) (transport, error){
	"": newPortable,
}
