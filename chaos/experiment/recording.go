package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/input"
)

// loadRecording reads the recording that a latency is drawn from, if it has one. A
// relative path starts at folder; it is absolute afterwards. Errors name the key that
// they are about first.
func loadRecording(l *toxic.Latency, folder string) error {
	if l.Recorded == "" {
		return nil
	}
	if err := absolute(folder, &l.Recorded); err != nil {
		return fmt.Errorf("recorded: %w", err)
	}
	log, err := input.Parse(l.Recorded, input.Histograms, hist.ReadLog)
	if err != nil {
		return fmt.Errorf("recorded: %w", err)
	}
	h, err := recordingOf(l, log.Histograms)
	if err != nil {
		return err
	}
	if l.Draws = h.Sampler(); l.Draws == nil {
		return fmt.Errorf("recorded: %s holds no times", l.Recorded)
	}
	return nil
}

// recordingOf is the histogram with the tag, or the only one there is.
func recordingOf(l *toxic.Latency, by map[string]*hist.Histogram) (*hist.Histogram, error) {
	if h := by[l.Tag]; h != nil {
		return h, nil
	}
	tags := slices.Sorted(maps.Keys(by))
	switch {
	case len(tags) == 0:
		return nil, fmt.Errorf("recorded: %s holds no histogram", l.Recorded)
	case l.Tag == "" && len(tags) == 1:
		return by[tags[0]], nil
	case l.Tag == "":
		return nil, fmt.Errorf("tag: is needed, because there are several: %s", strings.Join(tags, ", "))
	}
	return nil, fmt.Errorf("tag: there is no %q: tags are %s", l.Tag, strings.Join(tags, ", "))
}
