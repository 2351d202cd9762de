package proc

import (
	"bytes"
	"os"
	"strconv"
)

// pageSize is the unit of memory in /proc/PID/stat.
var pageSize = int64(os.Getpagesize())

// measure measures one process; false if it has ended.
func measure(pid int) (Resources, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Resources{}, false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // as Read does
	if len(fields) < 22 || len(fields[0]) != 1 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return Resources{}, false
	}
	threads, err := strconv.Atoi(string(fields[17]))
	if err != nil {
		return Resources{}, false
	}
	pages, err := strconv.ParseInt(string(fields[21]), 10, 64)
	if err != nil {
		return Resources{}, false
	}
	return Resources{RSS: pages * pageSize, Threads: threads, Files: openFiles(dir + "/fd")}, true
}

// openFiles counts the descriptors of a process; -1 if they may not be seen. The size
// of the folder is their number since Linux 6.2, and 0 before.
func openFiles(dir string) int {
	f, err := os.Open(dir)
	if err != nil {
		return -1
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names)
}
