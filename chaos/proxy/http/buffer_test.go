package http

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestBuffer compares with a plain slice, whatever is read, taken, kept and
// released in any order.
func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := buffer{b: make([]byte, 16)}
		var want []byte // pending
		var kept, keptWas []byte
		next := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				room := q.room()
				if len(room) == 0 {
					if len(q.b) < q.kept+maxBuffer {
						t.Fatal("no room, though it may grow")
					}
					return
				}
				n := rapid.IntRange(0, len(room)).Draw(t, "n")
				for i := range n {
					next++
					room[i] = next
					want = append(want, next)
				}
				q.filled(n)
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				q.take(n)
				want = want[n:]
			},
			"keep": func(t *rapid.T) {
				if kept != nil {
					return
				}
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				kept = q.pending()[:n]
				keptWas = bytes.Clone(kept)
				q.keep(n)
			},
			"release": func(t *rapid.T) {
				q.release()
				kept, keptWas = nil, nil
			},
			"": func(t *rapid.T) {
				if !bytes.Equal(q.pending(), want) || q.empty() != (len(want) == 0) {
					t.Fatalf("unread %v, want %v", q.pending(), want)
				}
				if !bytes.Equal(kept, keptWas) {
					t.Fatalf("kept %v, were %v", kept, keptWas)
				}
			},
		})
	})
}

// The read for the next request waits while the one before is answered, so that it
// finds its room behind that: a connection that lives long needs no more for it.
func TestBufferOfManyRequestsStaysSmall(t *testing.T) {
	q := buffer{b: make([]byte, 4096)}
	room := q.room()
	for i := range 100_000 {
		size := 1 + i%900
		for size > 0 { // comes in as many pieces as there is room for
			n := min(size, len(room))
			q.filled(n)
			size -= n
			if size > 0 {
				room = q.headRoom()
			}
		}
		n := len(q.pending())
		q.keep(n)
		q.take(n)
		room = q.room()
		q.release()
	}
	if len(q.b) != 4096 {
		t.Errorf("the buffer has grown to %d", len(q.b))
	}
}

func TestInternedIsBounded(t *testing.T) {
	var n interned
	for i := range 2 * maxInterned {
		text := fmt.Sprintf("/pay/%d", i)
		if got := n.of([]byte(text)); got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	}
	if got := len(*n.known.Load()); got != maxInterned {
		t.Errorf("%d are known, want %d", got, maxInterned)
	}
	known := []byte("/pay/7")
	if allocs := testing.AllocsPerRun(100, func() { n.of(known) }); allocs != 0 {
		t.Errorf("%v allocations for a text that is known, want none", allocs)
	}
}
