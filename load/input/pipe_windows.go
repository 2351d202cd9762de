package input

import (
	"io"
	"os"
	"time"
)

// piped is the descriptor that a name stands for: "-" is standard input.
func piped(name string) (fd int, called string, ok bool) { return 0, "stdin", name == "-" }

// readPipe reads standard input, which fd is.
func readPipe(_ int, k Kind, within time.Duration) ([]byte, error) {
	type content struct {
		data []byte
		err  error
	}
	read := make(chan content, 1)
	go func() { // what it waits for may never come: it is left behind then
		data, err := io.ReadAll(io.LimitReader(os.Stdin, k.MaxSize+1))
		read <- content{data, err}
	}()
	select {
	case c := <-read:
		if c.err == nil && int64(len(c.data)) > k.MaxSize {
			return nil, k.tooLarge()
		}
		return c.data, c.err
	case <-time.After(within):
		return nil, errSlowPipe
	}
}
