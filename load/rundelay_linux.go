package load

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// runDelay is how long the threads of this process have waited for a core
// while they could have run, and how often they were given one, both since
// they began (proc(5), /proc/PID/task/TID/schedstat). It is false if the
// kernel does not say.
func runDelay() (waited time.Duration, slices uint64, ok bool) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, 0, false
	}
	for _, t := range tasks {
		stat, err := os.ReadFile("/proc/self/task/" + t.Name() + "/schedstat")
		if err != nil {
			continue // the thread has ended since
		}
		fields := bytes.Fields(stat)
		if len(fields) != 3 {
			return 0, 0, false
		}
		w, err1 := strconv.ParseInt(string(fields[1]), 10, 64)
		n, err2 := strconv.ParseUint(string(fields[2]), 10, 64)
		if err1 != nil || err2 != nil {
			return 0, 0, false
		}
		waited += time.Duration(w)
		slices += n
		ok = true
	}
	return waited, slices, ok
}
