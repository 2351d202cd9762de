package tcp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestBacklogKeepsOrder: whatever is delayed by whom, and healed when, bytes come
// out as they went in, no piece is due before the one ahead of it, and what
// nothing delays any more is due at once.
func TestBacklogKeepsOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	toxics := []*activeConn{{}, {}, {}}
	for range 500 {
		var b backlog
		var in, out []byte
		healed := map[*activeConn]bool{}
		for now := time.Duration(1); now < 200; now++ {
			switch rng.IntN(8) {
			case 0: // heal, all at last
				if a := toxics[rng.IntN(len(toxics))]; rng.IntN(5) == 0 {
					healed[a] = true
					b.heal(func(a *activeConn) bool { return !healed[a] })
				}
			case 1, 2, 3:
				for !b.empty() {
					p, text := b.front()
					if p.due > now {
						break
					}
					n := len(text)
					if n > 0 {
						n = 1 + rng.IntN(n)
					}
					out = append(out, text[:n]...)
					b.pop(n)
				}
			default:
				p := piece{at: now}
				for _, a := range toxics {
					if !healed[a] && rng.IntN(3) == 0 {
						p.delays = append(p.delays, delay{a, time.Duration(rng.IntN(50))})
					}
				}
				text := make([]byte, 1+rng.IntN(100))
				for i := range text {
					text[i] = byte(rng.Uint32())
				}
				in = append(in, text...)
				b.push(p, text)
			}
			pieces := b.pieces[b.first:]
			if !slices.IsSortedFunc(pieces, func(p, q piece) int { return int(p.due - q.due) }) {
				t.Fatalf("pieces are due at %v", pieces)
			}
			size := 0
			for _, p := range pieces {
				size += p.n
			}
			if size != b.size() || len(in) != len(out)+size {
				t.Fatalf("%d bytes in, %d out, %d there in pieces of %d", len(in), len(out), b.size(), size)
			}
		}
		b.heal(func(*activeConn) bool { return false })
		for !b.empty() {
			p, text := b.front()
			if p.due > 0 {
				t.Fatalf("a piece is due at %v when nothing delays it any more", p.due)
			}
			out = append(out, text...)
			b.pop(len(text))
		}
		if !bytes.Equal(in, out) {
			t.Fatal("what came out is not what went in")
		}
	}
}

// TestBacklogHealsEnds: the end that a toxic has made goes with it; the sender's
// stays.
func TestBacklogHealsEnds(t *testing.T) {
	limit, latency := &activeConn{}, &activeConn{}
	var b backlog
	b.push(piece{at: 1, delays: []delay{{latency, 10}}}, []byte("a"))
	b.push(piece{at: 2, end: endCut, by: limit, delays: []delay{{latency, 10}}}, nil)
	b.heal(func(a *activeConn) bool { return a == latency })
	if p, _ := b.front(); len(b.pieces) != 1 || p.due != 11 {
		t.Errorf("there are %+v, want the byte at 11", b.pieces)
	}
	b.push(piece{at: 3, end: endFIN}, nil)
	b.heal(func(*activeConn) bool { return false })
	b.pop(1)
	if p, _ := b.front(); p.end != endFIN || p.due != 0 {
		t.Errorf("then %+v, want the FIN at once", p)
	}
}

// TestStreamDrawsRepeat: what a toxic draws about a connection depends on the
// seed, its index, the connection and the direction, and on nothing else.
func TestStreamDrawsRepeat(t *testing.T) {
	draw := func(seed uint64, index int, conn uint64, way link.Direction) (sizes [5]int) {
		var d draw
		a := &activeConn{toxic: toxic.Slicer{Size: 1000, Variation: 900, Select: toxic.All}, selects: toxic.All, seed: toxic.Seed(seed, "db", index)}
		a.shaper = a.toxic.(toxic.Shaper)
		attachmentOn(a, conn+17, &d) // another's draws do not matter
		g, takes := attachmentOn(a, conn, &d)
		if !takes {
			t.Fatal("it does not take the connection")
		}
		for i := range sizes {
			sizes[i] = a.shaper.Cut(1<<20, g.directions[way].draw(a, conn, way))
		}
		return sizes
	}
	want := draw(7, 1, 3, 0)
	if got := draw(7, 1, 3, 0); got != want {
		t.Errorf("drew %v, then %v", want, got)
	}
	for _, other := range [][5]int{draw(8, 1, 3, 0), draw(7, 2, 3, 0), draw(7, 1, 4, 0), draw(7, 1, 3, 1)} {
		if other == want {
			t.Errorf("something else drew the same: %v", want)
		}
	}
}
