//go:build !linux && !darwin

package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

var errUnsupported = fmt.Errorf("what processes there are cannot be read on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Read, All, Environ, Program and View know nothing here.
func Read(int) (Stat, error) { return Stat{}, errUnsupported }

func All() []Stat { return nil }

func Environ(int) ([]byte, error) { return nil, errUnsupported }

func Program(int) (string, error) { return "", errUnsupported }

func View() (boot, namespace, clock string) { return "", "", "" }

// Self is the file of the program that runs now. It must still be there.
func Self() (string, error) { return os.Executable() }
