package load

import "time"

// SplitWarmup keeps a warm-up out of what is observed. What was due before its end is
// given to warm, with its times as they are, and everything else to observe,
// with times that count from there. The clock of what is measured thus begins
// where the warm-up ends: an answer that is still under way then counts as the
// warm-up's, for that is what made it slow.
func SplitWarmup(warmup time.Duration, warm, observe Observe) Observe {
	if warmup <= 0 {
		return observe
	}
	return func(shard int, s Sample) {
		if s.Intended < warmup {
			warm(shard, s)
			return
		}
		s.Intended -= warmup
		s.Done -= warmup
		if s.Outcome != Unsent {
			s.Sent -= warmup
		}
		observe(shard, s)
	}
}

// NextSecond is the first whole second after t, on a clock that may not have
// come to 0 yet, as that of SplitWarmup during the warm-up.
func NextSecond(t time.Duration) time.Duration {
	second := t.Truncate(time.Second) // towards 0
	if second > t {
		return second
	}
	return second + time.Second
}
