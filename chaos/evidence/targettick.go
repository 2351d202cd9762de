package evidence

// TargetTick is what the processes of a target took at the end of a second, with all
// that they had started. It is there for targets that the run has started itself.
type TargetTick struct {
	Pid     int   `json:"pid"`     // of the process that was started: another one is another life of the target
	RSS     int64 `json:"rss"`     // bytes of memory that are resident
	Files   int   `json:"files"`   // open descriptors; -1 is unknown
	Threads int   `json:"threads"` // of all of them
}
