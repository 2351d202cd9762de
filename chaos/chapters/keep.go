package chapters

import (
	"math/rand/v2"

	"github.com/stormctl/stormctl/chaos/judge"
)

// Keeper decides whose evidence is kept: the first chapter's and the latest's, that of
// each that was refuted or of which nothing could be told, and of those that held a
// sample, in which each of them is as likely as any other, however many come. Where all
// that is more than there is room for, the sample makes room first, and then the latest
// of those that did not hold: the first time that something went wrong is worth most.
// It is pure: it names chapters, and others remove them.
type Keeper struct {
	Size int   // of the sample
	Disk int64 // bytes of all that is kept; 0 is no bound

	rng    *rand.Rand
	held   int // that have been offered to the sample
	latest *stored
	sample []stored
	first  []stored // the first chapter
	bad    []stored // refuted or inconclusive
}

// stored is the evidence of a chapter.
type stored struct {
	number int
	bytes  int64
	ruling judge.Ruling
}

// NewKeeper is one whose sample is drawn from seed.
func NewKeeper(size int, disk int64, seed uint64) *Keeper {
	return &Keeper{Size: size, Disk: disk, rng: rand.New(rand.NewPCG(seed, 0x6b656570))} // "keep"
}

// Judged takes in that a chapter was judged, whose evidence has so many bytes, and
// returns the chapters whose evidence is to be removed.
func (k *Keeper) Judged(number int, ruling judge.Ruling, bytes int64) (drop []int) {
	if k.latest != nil {
		drop = k.place(*k.latest)
	}
	k.latest = &stored{number, bytes, ruling}
	return append(drop, k.room()...)
}

// place decides about a chapter that is the latest no more.
func (k *Keeper) place(s stored) (drop []int) {
	switch {
	case s.number == 1:
		k.first = append(k.first, s)
	case s.ruling != judge.Held:
		k.bad = append(k.bad, s)
	default:
		k.held++
		if len(k.sample) < k.Size {
			k.sample = append(k.sample, s)
			return nil
		}
		if i := k.rng.IntN(k.held); i < k.Size {
			drop = append(drop, k.sample[i].number)
			k.sample[i] = s
			return drop
		}
		return append(drop, s.number)
	}
	return nil
}

// room makes room.
func (k *Keeper) room() (drop []int) {
	for k.Disk > 0 && k.bytes() > k.Disk {
		switch {
		case len(k.sample) > 0:
			drop = append(drop, k.sample[0].number)
			k.sample = k.sample[1:]
		case len(k.bad) > 0:
			last := len(k.bad) - 1
			drop = append(drop, k.bad[last].number)
			k.bad = k.bad[:last]
		case len(k.first) > 0:
			drop = append(drop, k.first[0].number)
			k.first = nil
		default: // the latest, which makes room when the next comes
			return drop
		}
	}
	return drop
}

func (k *Keeper) bytes() (sum int64) {
	for _, list := range [][]stored{k.first, k.bad, k.sample} {
		for _, s := range list {
			sum += s.bytes
		}
	}
	if k.latest != nil {
		sum += k.latest.bytes
	}
	return sum
}

// Restore puts back what an earlier part of the soak kept: of each entry whether its
// evidence is there, and how many bytes it has; 0 is that it is not.
func (k *Keeper) Restore(entries []Entry, bytes func(number int) int64) {
	for _, e := range entries {
		s := stored{e.Number, bytes(e.Number), e.Ruling}
		if e.Ruling == judge.Held && e.Number > 1 {
			k.held++
		}
		switch {
		case s.bytes == 0:
		case s.number == 1:
			k.first = append(k.first, s)
		case s.ruling != judge.Held:
			k.bad = append(k.bad, s)
		case len(k.sample) < k.Size:
			k.sample = append(k.sample, s)
		}
	}
}
