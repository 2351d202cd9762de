package chaos

import (
	"bytes"
	"os"
	"runtime"
	"strings"
)

// hostText is which machine this is, for who compares runs: its name, its system and
// its processor.
func hostText() string {
	name, _ := os.Hostname() // "" where the system has none
	parts := []string{name, runtime.GOOS + "/" + runtime.GOARCH}
	cpu, _ := os.ReadFile("/proc/cpuinfo") // none elsewhere than on Linux
	for line := range bytes.Lines(cpu) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			parts = append(parts, string(bytes.TrimSpace(value)))
			break
		}
	}
	return strings.TrimPrefix(strings.Join(parts, ", "), ", ")
}
