package reference

import (
	"net/http"
	"time"
)

// date is the Date of answers (RFC 9110, section 6.6.1), written once a second.
type date struct {
	second int64
	text   string
}

func (d *date) update() {
	now := time.Now()
	if second := now.Unix(); second != d.second {
		d.second, d.text = second, now.UTC().Format(http.TimeFormat)
	}
}
