package result

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Link is what one link saw over the whole run.
type Link struct {
	Name      string            `json:"name"`          // as in the experiment
	From      string            `json:"from"`          // the target that calls
	To        string            `json:"to"`            // the target that is called
	Exchanges uint64            `json:"exchanges"`     // requests and their responses; of a link of bytes, connections
	Endings   map[string]uint64 `json:"endings"`       // by evidence.Ending, zeros left out
	Statuses  map[string]uint64 `json:"statuses"`      // by what the caller got
	InFlight  int               `json:"max_in_flight"` // most exchanges in progress when one began
	Duration  Spread            `json:"duration"`      // of an exchange, from its head to the last of the answer

	// Connections that could not be read and passed as bytes, and what could not be
	// read of the first: exchanges on them may have no record.
	Unread      uint64 `json:"unread,omitempty"`
	FirstUnread string `json:"first_unread,omitempty"`
}

// links is what each link saw.
func links(run *evidence.Run) []Link {
	var all []Link
	for _, name := range slices.Sorted(maps.Keys(run.Links)) {
		l := run.Links[name]
		if run.Soak {
			all = append(all, counted(run, l))
			continue
		}
		r := Link{Name: name, From: l.From, To: l.To, Exchanges: uint64(len(l.Exchanges)),
			Endings: map[string]uint64{}, Statuses: map[string]uint64{}, Unread: l.Unread, FirstUnread: l.FirstUnread}
		durations := make([]time.Duration, 0, len(l.Exchanges))
		endings, statuses := map[evidence.Ending]uint64{}, map[int]uint64{}
		for i := range l.Exchanges {
			x := &l.Exchanges[i]
			endings[x.Ending]++
			statuses[x.Status]++
			r.InFlight = max(r.InFlight, int(x.InFlight))
			durations = append(durations, x.Duration())
		}
		for ending, n := range endings {
			r.Endings[ending.String()] += n
		}
		for status, n := range statuses {
			if status != 0 {
				r.Statuses[strconv.Itoa(status)] = n
			}
		}
		r.Duration = exactSpread(durations)
		all = append(all, r)
	}
	return all
}

// counted is what the seconds of a soak counted of a link: its exchanges are in the
// chapters.
func counted(run *evidence.Run, l *evidence.Link) Link {
	r := Link{Name: l.Name, From: l.From, To: l.To, Endings: map[string]uint64{}, Statuses: map[string]uint64{},
		Unread: l.Unread, FirstUnread: l.FirstUnread}
	for _, t := range run.Ticks {
		seen := t.Links[l.Name]
		r.Exchanges += seen.Ended
		r.InFlight = max(r.InFlight, seen.InFlight)
	}
	return r
}
