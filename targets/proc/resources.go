package proc

import "time"

// Resources are what a process and all its descendants take together. What is not known, of
// any of them, is -1.
type Resources struct {
	RSS     int64 // bytes of memory that are resident; what they share counts for each
	Files   int   // open descriptors
	Threads int
}

// A Monitor measures processes with all their descendants again and again. Whose
// descendants there are is looked up every treeEvery, for which all processes of the
// machine must be read; one that comes in between is measured from then on. It is used by
// one goroutine.
type Monitor struct {
	of   map[int][]int // by process, itself and its descendants
	seen time.Time     // when that was looked up; zero is never
}

// treeEvery is how often descendants are looked up.
const treeEvery = 10 * time.Second

// Measure measures each of the processes. One that has ended, or whose resources the system
// does not tell, is left out.
func (m *Monitor) Measure(roots []int) map[int]Resources {
	stale := time.Since(m.seen) >= treeEvery
	for _, root := range roots {
		stale = stale || m.of[root] == nil
	}
	if stale {
		m.of, m.seen = trees(roots), time.Now()
	}
	all := map[int]Resources{}
	for _, root := range roots {
		var sum Resources
		alive := false
		for _, pid := range m.of[root] {
			w, ok := measure(pid)
			if !ok {
				continue
			}
			alive = alive || pid == root
			sum.RSS, sum.Threads = sum.RSS+w.RSS, sum.Threads+w.Threads
			if w.Files < 0 || sum.Files < 0 {
				sum.Files = -1
			} else {
				sum.Files += w.Files
			}
		}
		if alive {
			all[root] = sum
		}
	}
	return all
}

// trees are processes and their descendants, by process.
func trees(roots []int) map[int][]int {
	children := map[int][]int{}
	for _, st := range All() {
		children[st.Parent] = append(children[st.Parent], st.Pid)
	}
	of := map[int][]int{}
	for _, root := range roots {
		of[root] = []int{root}
		for i := 0; i < len(of[root]); i++ {
			of[root] = append(of[root], children[of[root][i]]...)
		}
	}
	return of
}
