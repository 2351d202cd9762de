package poll

import (
	"runtime"
	"sync"
)

// procs is how many threads keep a P while they wait.
var procs struct {
	sync.Mutex
	spared, before int
}

// Cores is how many threads can run at a time, without those that Spare has added.
func Cores() int {
	procs.Lock()
	defer procs.Unlock()
	if procs.spared > 0 {
		return procs.before
	}
	return runtime.GOMAXPROCS(0)
}

// Spare lets n more goroutines run at a time, because so many threads will
// keep their P, the right to run Go code, while they wait: the scheduler is not
// told, and would find none for other goroutines. The function that it returns
// undoes it.
func Spare(n int) func() {
	change := func(by int) {
		procs.Lock()
		defer procs.Unlock()
		if procs.spared == 0 {
			procs.before = runtime.GOMAXPROCS(0)
		}
		procs.spared += by
		runtime.GOMAXPROCS(procs.before + procs.spared)
	}
	change(n)
	return func() { change(-n) }
}
