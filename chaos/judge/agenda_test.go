package judge

import "time"

// agenda is what models of a run do next, and when: what comes first is first,
// and of what comes at one instant what was put on it first. It is a heap of its
// own, as container/heap would take most of a simulation's time.
type agenda struct {
	moments []moment
	put     int // how many ever were
}

type moment struct {
	at  time.Duration
	seq int
	do  func()
}

func (m *moment) before(other *moment) bool {
	return m.at < other.at || m.at == other.at && m.seq < other.seq
}

// add puts something on it.
func (a *agenda) add(at time.Duration, do func()) {
	a.put++
	a.moments = append(a.moments, moment{at, a.put, do})
	list := a.moments
	for i := len(list) - 1; i > 0; {
		up := (i - 1) / 4
		if !list[i].before(&list[up]) {
			break
		}
		list[i], list[up] = list[up], list[i]
		i = up
	}
}

// next takes the first off it; there must be one.
func (a *agenda) next() moment {
	list := a.moments
	first, last := list[0], len(list)-1
	list[0], list[last] = list[last], moment{}
	list = list[:last]
	a.moments = list
	for i := 0; ; {
		least := i
		for down := 4*i + 1; down <= 4*i+4 && down < last; down++ {
			if list[down].before(&list[least]) {
				least = down
			}
		}
		if least == i {
			return first
		}
		list[i], list[least] = list[least], list[i]
		i = least
	}
}
