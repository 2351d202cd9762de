package evidence

// ReadTimeline reads of a run what its timeline has: all but the records of single
// requests and exchanges. It costs what the run's seconds do, whatever the rate.
func ReadTimeline(dir string) (*Run, error) {
	run := newRun()
	if err := run.readTimeline(dir); err != nil {
		return nil, err
	}
	run.settleEnd()
	return run, nil
}
