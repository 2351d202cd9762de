package wire

import (
	"strings"
	"testing"
	"testing/quick"
)

func TestParseID(t *testing.T) {
	const run = 0x0123456789abcdef
	const id = "0123456789abcdef000000000000002a" // run, then 42
	for _, c := range []struct {
		name, value string
		seq         uint64
		ok          bool
	}{
		{"id", id, 42, true},
		{"upper case", strings.ToUpper(id), 42, true},
		{"with white space", " \t" + id + " ", 42, true},
		{"first of a list", id + ", 8f14e45f", 42, true},
		{"first of a list without space", id + ",x", 42, true},
		{"with parameters", id + ";x=y", 42, true},
		{"traceparent", "00-" + id + "-000000000000002a-01", 42, true},
		{"traceparent, another span", "00-" + id + "-ffffffffffffffff-00", 42, true},
		{"traceparent of a later version", "01-" + id + "-ffffffffffffffff-00-x", 42, true},
		{"traceparent first of a list", "00-" + id + "-000000000000002a-01,00-x", 42, true},

		{"nothing", "", 0, false},
		{"a digit short", id[:31], 0, false},
		{"a digit long", id + "0", 0, false},
		{"a dash behind", id + "-x", 0, false},
		{"another run", "1123456789abcdef000000000000002a", 0, false},
		{"another run's traceparent", "00-1123456789abcdef000000000000002a-000000000000002a-01", 0, false},
		{"not a digit in the run", "g123456789abcdef000000000000002a", 0, false},
		{"not a digit in the seq", "0123456789abcdef000000000000002g", 0, false},
		{"second of a list", "x, " + id, 0, false},
		{"UUID", "01234567-89ab-cdef-0000-00000000002a", 0, false},
		{"traceparent without span", "00-" + id, 0, false},
		{"traceparent with a longer id", "00-" + id + "0-000000000000002a-01", 0, false},
	} {
		if seq, ok := ParseID([]byte(c.value), run); seq != c.seq || ok != c.ok {
			t.Errorf("%s: %d, %t; want %d, %t", c.name, seq, ok, c.seq, c.ok)
		}
	}
}

func TestIDRoundTrip(t *testing.T) {
	roundTrip := func(run, seq uint64) bool {
		text := AppendID(nil, ID{Run: run, Seq: seq})
		got, ok := ParseID(text, run)
		_, other := ParseID(text, run+1)
		return len(text) == 32 && string(text) == strings.ToLower(string(text)) && ok && got == seq && !other
	}
	if err := quick.Check(roundTrip, nil); err != nil {
		t.Error(err)
	}
}

func TestSeqOf(t *testing.T) {
	for _, c := range []struct {
		arrival uint64
		step    int
		want    uint64
	}{
		{42, 0, 42}, {42, 1, 0x0001_0000_0000_002a}, {arrivals, MaxStep, 1<<64 - 1},
	} {
		if got := SeqOf(c.arrival, c.step); got != c.want || ArrivalOf(got) != c.arrival {
			t.Errorf("step %d of %d: got %x, and %d back; want %x", c.step, c.arrival, got, ArrivalOf(got), c.want)
		}
	}
}
