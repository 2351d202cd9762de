package proc

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestParseArguments: only the environment is taken for it. An argument that looks
// like a variable is none, or a process could be killed by what it was told.
func TestParseArguments(t *testing.T) {
	answer := func(count int32, text string) []byte {
		return append(binary.NativeEndian.AppendUint32(nil, uint32(count)), text...)
	}
	tests := []struct {
		name             string
		text             []byte
		program, environ string
		fails            bool
	}{
		{"padding, arguments, environment, what the kernel adds",
			answer(2, "/bin/sh\x00\x00\x00\x00sh\x00A=argument\x00B=1\x00C=2\x00\x00executable_path=/bin/sh\x00"), "/bin/sh", "B=1\x00C=2\x00", false},
		{"no environment", answer(1, "/bin/sh\x00sh\x00\x00"), "/bin/sh", "", false},
		{"an environment without its end", answer(1, "/bin/sh\x00sh\x00B=1\x00C="), "/bin/sh", "B=1\x00", false},
		{"fewer arguments than it says", answer(3, "/bin/sh\x00sh\x00a\x00"), "", "", true},
		{"a path that says little", answer(1, "sh\x00sh\x00"), "", "", true},
		{"no end of the path", answer(1, "/bin/sh"), "", "", true},
		{"nothing", nil, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			program, environ, err := parseArguments(tt.text)
			if program != tt.program || string(environ) != tt.environ || (err != nil) != tt.fails {
				t.Errorf("program %q, environment %q, %v; want %q, %q, an error: %v",
					program, strings.ReplaceAll(string(environ), "\x00", "|"), err, tt.program, tt.environ, tt.fails)
			}
		})
	}
}
