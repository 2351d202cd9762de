package hist

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is written and read again is the same histogram, count for count, and adds up with
// what was there before.
func TestWireKeepsEachCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(-1, int64(2*Highest)), 0, 50)
		first, second, want := New(), New(), New()
		for _, d := range times.Draw(t, "first") {
			first.Record(time.Duration(d))
			want.Record(time.Duration(d))
		}
		for _, d := range times.Draw(t, "second") {
			second.Record(time.Duration(d))
			want.Record(time.Duration(d))
		}
		got := New()
		rest := append(second.Append(first.Append(nil)), "rest"...)
		for range 2 {
			var err error
			if rest, err = got.Read(rest); err != nil {
				t.Fatal(err)
			}
		}
		if string(rest) != "rest" {
			t.Fatalf("%q follows", rest)
		}
		if !bytes.Equal(got.Append(nil), want.Append(nil)) || got.Summary() != want.Summary() {
			t.Fatalf("it is %+v, of %+v", got.Summary(), want.Summary())
		}
	})
}

// What is no histogram is refused, whatever it is.
func FuzzRead(f *testing.F) {
	h := New()
	h.Record(time.Millisecond)
	h.Record(-1)
	f.Add(h.Append(nil))
	f.Add([]byte{0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := New()
		rest, err := h.Read(b)
		if err == nil && !bytes.HasSuffix(b, rest) {
			t.Errorf("%x is left of %x", rest, b)
		}
	})
}
