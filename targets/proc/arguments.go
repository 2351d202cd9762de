package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path"
)

// parseArguments reads what macOS answers to kern.procargs2: how many arguments there
// are, the path of the program, zero bytes up to a round address, the arguments,
// and the environment up to an empty string.
func parseArguments(text []byte) (program string, environ []byte, err error) {
	if len(text) < 4 {
		return "", nil, errArguments
	}
	count := int(int32(binary.NativeEndian.Uint32(text)))
	name, rest, ok := bytes.Cut(text[4:], []byte{0})
	if !ok || !path.IsAbs(string(name)) {
		return "", nil, errArguments
	}
	rest = bytes.TrimLeft(rest, "\x00")
	for range count {
		if _, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return "", nil, errArguments
		}
	}
	end := 0
	for {
		n := bytes.IndexByte(rest[end:], 0)
		if n <= 0 { // an empty string, or one without its end
			return string(name), rest[:end], nil
		}
		end += n + 1
	}
}

var errArguments = errors.New("the arguments of the process are malformed")
