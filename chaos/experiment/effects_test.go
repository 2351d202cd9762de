package experiment

import (
	"reflect"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// TestEveryFaultHasEffects: rulings know a fault by its effects alone, so that
// none may be without. Those of kinds from before effects were recorded are what
// their old runs are read with.
func TestEveryFaultHasEffects(t *testing.T) {
	for _, f := range strict.Fields(reflect.TypeFor[Event]()) {
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		var e Event
		reflect.ValueOf(&e).Elem().FieldByIndex(f.Index).Set(reflect.New(f.Type.Elem()))
		switch f.Key { // those that do nothing, or something else, without a number
		case "errors":
			e.Errors.Status = []int{503}
		case "bandwidth":
			e.Bandwidth.Rate = 1
		case "slow_connect":
			e.SlowConnect.Delay = 1
		case "corrupt":
			e.Corrupt.Bytes = 1
		case "slow_body":
			e.SlowBody.Rate = 1
		case "slow_close":
			e.SlowClose.Delay = 1
		case "flap":
			e.Flap.Up, e.Flap.Down = 1, 1
		}
		got := (&Experiment{}).Injection(0, e)
		does := got.Does()
		if does == (evidence.Effects{}) || does == (evidence.Effects{Marks: true}) {
			t.Errorf("%s has no effect that is known to rulings", f.Key)
		}
		got.Effects = nil
		if old := got.Does(); old != does && old != (evidence.Effects{Marks: old.Marks}) {
			t.Errorf("%s: %+v, and %+v in runs from before effects were recorded", f.Key, does, old)
		}
	}
}
