package toxic

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestConnToxics says how faults of connections are named, and which keys are wrong.
func TestConnToxics(t *testing.T) {
	for _, tt := range []struct {
		toxic Toxic
		text  string
		wrong string // fields that Check names
	}{
		{Latency{Delay: time.Second, Jitter: time.Millisecond, Select: All}, "latency 1s ± 1ms to 100%", ""},
		{Latency{Select: Select{Share: 2}}, "latency 0s to 200%", "delay share"},
		{Bandwidth{Rate: 64 << 10, Select: Select{Share: 1, Match: &Match{Connection: 2}}}, "bandwidth 64KiB/s to connection 2", ""},
		{Bandwidth{Select: All}, "bandwidth 0B/s to 100%", "rate"},
		{SlowClose{Delay: time.Second, Select: All}, "slow_close 1s to 100%", ""},
		{SlowClose{Delay: time.Second, Select: Select{Share: 0.5, First: 2, Every: 3}}, "slow_close 1s to 50% of the first 2, one of 3", ""},
		{SlowClose{Delay: time.Second, Select: Select{Share: 1, First: -2, Every: -3}}, "slow_close 1s to 100%", "first every"},
		{SlowClose{Select: All}, "slow_close 0s to 100%", "delay"},
		{Timeout{After: time.Second, Select: All}, "timeout after 1s to 100%", ""},
		{Timeout{Select: All}, "timeout to 100%", ""},
		{Timeout{After: -1, Select: All}, "timeout to 100%", "after"},
		{ResetPeer{Select: All}, "reset_peer to 100%", ""},
		{ResetPeer{After: time.Second, Select: All}, "reset_peer after 1s to 100%", ""},
		{Slicer{Size: 10, Variation: 5, Delay: time.Millisecond, Select: All}, "slicer 10 ± 5 bytes, 1ms apart, to 100%", ""},
		{Slicer{Variation: 5, Select: All}, "slicer 0 ± 5 bytes to 100%", "size variation"},
		{LimitData{Bytes: 1 << 20, Select: All}, "limit_data 1MiB to 100%", ""},
		{LimitData{Bytes: -1, Select: All}, "limit_data -1B to 100%", "bytes"},
		{Down{Select: All}, "down to 100%", ""},
		{SlowConnect{Delay: time.Second, Select: All}, "slow_connect 1s to 100%", ""},
		{SlowConnect{Select: All}, "slow_connect 0s to 100%", "delay"},
		{Partition{Select: Select{Share: 0.3}}, "partition to 30%", ""},
		{HalfOpen{Select: All}, "half_open to 100%", ""},
		{Flap{Up: time.Second, Down: 2 * time.Second, Select: All}, "flap 2s down, 1s up, to 100%", ""},
		{Flap{Select: All}, "flap 0s down, 0s up, to 100%", "up down"},
	} {
		if tt.wrong == "" || !strings.Contains(tt.text, "-") {
			if got := fmt.Sprint(tt.toxic); got != tt.text {
				t.Errorf("got %q, want %q", got, tt.text)
			}
		}
		var wrong []string
		tt.toxic.(interface {
			Check(func(field, problem string))
		}).Check(func(field, problem string) { wrong = append(wrong, field) })
		if got := strings.Join(wrong, " "); got != tt.wrong {
			t.Errorf("%v: wrong are %q, want %q", tt.toxic, got, tt.wrong)
		}
	}
}

// TestFaces: what fits a link that passes exchanges, and what one that knows
// connections.
func TestFaces(t *testing.T) {
	for _, tt := range []struct {
		toxic            Toxic
		exchanges, conns bool
	}{
		{Errors{Status: Statuses{503}, Select: All}, true, false},
		{Down{All}, false, true},
		{Partition{All}, true, true},
		{Partition{Select{Share: 1, Match: &Match{Connection: 2}}}, true, true},
		{Partition{Select{Share: 1, Match: &Match{Path: "/pay"}}}, true, false},
		{Down{Select{Share: 1, Match: &Match{}}}, false, false},
		{Latency{Delay: 1, Select: All}, true, true},
		{Latency{Delay: 1, On: "response", Select: All}, true, false},
	} {
		if _, err := OnExchanges(tt.toxic); (err == nil) != tt.exchanges {
			t.Errorf("%v on exchanges: %v", tt.toxic, err)
		}
		if _, err := OnConns(tt.toxic); (err == nil) != tt.conns {
			t.Errorf("%v on connections: %v", tt.toxic, err)
		}
	}
}
