package toxic

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/unit"
)

// LimitData closes the connection when so many bytes have passed in its
// direction. Of a connection that is open when it is injected they count from
// then.
type LimitData struct {
	Bytes  unit.Size `yaml:"bytes"` // How many pass; absent means none.
	Select `yaml:",inline"`
}

// DecideConn sets the limit.
func (l LimitData) DecideConn(Moment) ConnFate {
	return ConnFate{Limited: true, Limit: int64(max(l.Bytes, 0))}
}

// Check reports what is wrong with l, by key.
func (l LimitData) Check(report func(field, problem string)) {
	if l.Bytes < 0 {
		report("bytes", "must not be negative")
	}
	l.Select.Check(report)
}

// String is like "limit_data 1MiB to 100%".
func (l LimitData) String() string {
	return fmt.Sprintf("limit_data %s to %s", l.Bytes, l.conns())
}
