package host

import (
	"fmt"
	"runtime"
)

// system is what we run on; tests say another.
var system = runtime.GOOS

// Lacks says what the system does not have for a fault, whatever the machine: nil if
// it has it.
func Lacks(f Fault) error {
	if system == "linux" {
		return nil
	}
	switch f.(type) {
	case CPU:
		return fmt.Errorf("%w; by: stop needs none", onlyLinux("cgroups"))
	case Memory:
		return onlyLinux("cgroups")
	case AddressSpace, Descriptors:
		return onlyLinux("limits that are set from outside a process (prlimit)")
	case Partition, Rate, Between, *Network:
		return onlyLinux("network namespaces")
	}
	return nil
}

func onlyLinux(piece string) error {
	return fmt.Errorf("it needs %s, which only Linux has; this is %s", piece, system)
}
