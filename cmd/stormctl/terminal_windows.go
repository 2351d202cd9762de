package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// brokenPipe is what a write fails with once nobody reads.
const brokenPipe = windows.ERROR_NO_DATA

// columnsOf is how many characters a terminal is wide; false if it is none.
func columnsOf(f *os.File) (width int, ok bool) {
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info) != nil {
		return 0, false
	}
	var mode uint32 // without this older consoles show colours as text
	if windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) == nil {
		_ = windows.SetConsoleMode(windows.Handle(f.Fd()), mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	}
	return int(info.Window.Right-info.Window.Left) + 1, true
}
