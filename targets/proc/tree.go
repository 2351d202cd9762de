package proc

import "time"

// TreeCPU is the CPU time of a process and all its descendants; 0 if it is not known.
func TreeCPU(root int) time.Duration {
	children := map[int][]int{}
	for _, st := range All() {
		children[st.Parent] = append(children[st.Parent], st.Pid)
	}
	var sum time.Duration
	for waiting := []int{root}; len(waiting) > 0; {
		pid := waiting[len(waiting)-1]
		waiting = append(waiting[:len(waiting)-1], children[pid]...)
		sum += CPU(pid)
	}
	return sum
}
