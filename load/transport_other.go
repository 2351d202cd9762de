//go:build !linux

package load

const bestTransport = Portable

var systemTransports = map[string]func(*loop) (transport, error){
	"": newPortable,
}
