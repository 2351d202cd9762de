package requests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine is how long a line of an input may be.
const maxLine = 16 << 20

// peekText returns the first byte that is not white space, 0 if there is none,
// and takes nothing.
func peekText(in *bufio.Reader) (byte, error) {
	for n := 1; ; n++ {
		seen, err := in.Peek(n)
		if len(seen) < n {
			if err == io.EOF || errors.Is(err, bufio.ErrBufferFull) {
				return 0, nil
			}
			return 0, err
		}
		if c := seen[n-1]; !bytes.ContainsRune([]byte(" \t\r\n"), rune(c)) {
			return c, nil
		}
	}
}

// eachLine calls do for every line that is not blank, with its number from 1.
func eachLine(r io.Reader, do func(line int, text []byte) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	n := 0
	for in.Scan() {
		n++
		if text := bytes.TrimSpace(in.Bytes()); len(text) > 0 {
			if err := do(n, text); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}
