package wire

import (
	"math"
	"time"
)

// ParseRetryAfter reads the value of a Retry-After field: seconds, or an
// HTTP-date in any of its three forms, which is compared to now (RFC 9110
// sections 5.6.7 and 10.2.3). A date in the past is 0. What does not fit a
// Duration becomes the longest one.
func ParseRetryAfter(value []byte, now time.Time) (wait time.Duration, ok bool) {
	value = trim(value)
	if len(value) == 0 {
		return 0, false
	}
	const most = int64(math.MaxInt64 / time.Second)
	seconds := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return parseRetryDate(value, now)
		}
		seconds = min(seconds*10+int64(c-'0'), most+1)
	}
	if seconds > most {
		return math.MaxInt64, true
	}
	return time.Duration(seconds) * time.Second, true
}

func parseRetryDate(value []byte, now time.Time) (wait time.Duration, ok bool) {
	const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, layout := range [...]string{imfFixdate, time.RFC850, time.ANSIC} {
		if at, err := time.Parse(layout, string(value)); err == nil {
			return max(0, at.Sub(now)), true // Sub saturates
		}
	}
	return 0, false
}
