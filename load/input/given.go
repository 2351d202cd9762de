package input

import (
	"errors"
	"io/fs"
	"time"
)

// givenWithin is how long what writes to a pipe may take.
const givenWithin = 30 * time.Second

var errSlowPipe = errors.New("what writes to it has not ended within 30 s: write it into a file, and name that")

// Given reads what an argument of the command line names: a file as Read does,
// and besides a pipe that the shell has opened for us: "-" is standard input,
// /dev/fd/N what <(command) becomes. A pipe is read once, to the most that its kind
// may have, and waited for at most 30 s. called is what the file is to be called, and
// begins with its folder: that of a pipe is the working folder.
//
// What a file names that was read is never a pipe: it may be read again in the
// middle of a run.
func Given(name string, k Kind) (data []byte, called string, err error) {
	return given(name, k, givenWithin)
}

func given(name string, k Kind, within time.Duration) (data []byte, called string, err error) {
	fd, called, ok := piped(name)
	if !ok {
		data, err = Read(name, k)
		return data, name, err
	}
	data, err = readPipe(fd, k, within)
	if err == nil && !k.Binary {
		data, err = Plain(data)
	}
	if err != nil {
		return nil, called, &fs.PathError{Op: "read", Path: called, Err: err}
	}
	return data, called, nil
}

// ParseGiven gives what an argument of the command line names to what reads it, as
// Parse does a file.
func ParseGiven[T any](name string, k Kind, read Reader[T]) (v T, err error) {
	data, called, err := Given(name, k)
	if err != nil {
		return v, err
	}
	return parsed(called, data, read)
}
