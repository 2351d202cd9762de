package evidence

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/input/inputtest"
)

// bigRun makes the directory of a run of n requests, at 4,000/s, each with a call
// over the one link: as a run leaves it, in the order in which requests ended,
// those of two event loops after each other every 100 ms.
func bigRun(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	must(os.Mkdir(filepath.Join(dir, "evidence"), 0o755))
	tl := TimelineIn(inputtest.File(t, filepath.Join(dir, TimelineFile)))
	sampleWriter, err := CreateSamples(filepath.Join(dir, SamplesFile), []string{"pay", "browse"}, 2, 0)
	must(err)
	exchangeWriter, err := ExchangesIn(inputtest.File(t, filepath.Join(dir, ExchangesFile("payments"))), 0)
	must(err)
	gap := time.Second / 4000
	length := time.Duration(n) * gap
	header := *start.Start
	header.Load = Seconds(length)
	header.Faults = []Injection{header.Faults[0]}
	header.Faults[0].At, header.Faults[0].For = Seconds(length/3), Seconds(length/3)
	tl.Add(Event{Kind: KindStart, Start: &header})
	var batch []Exchange
	var samples [2][]load.Sample
	flush := func() {
		for loop, list := range samples {
			for _, s := range list {
				sampleWriter.Record(loop, s)
			}
			samples[loop] = list[:0]
		}
		sampleWriter.Flush(nil)
		exchangeWriter.Write(batch)
		batch = batch[:0]
	}
	for i := range n {
		at := time.Duration(i) * gap
		took := time.Duration(2e6 + rng.ExpFloat64()*3e6)
		s := load.Sample{ID: uint64(i + 1), Route: i % 2, Intended: at, Sent: at + 20*time.Microsecond, Done: at + took, Status: 200}
		x := Exchange{Seq: uint64(i + 1), ID: s.ID, Conn: uint64(1 + i%40), Begin: at + took/8, End: at + 7*took/8, Method: "GET", Path: "/pay",
			Status: 200, InFlight: 1 + rng.Int32N(40), Key: rng.Uint64(), Extras: &Extras{BytesUp: 120, BytesDown: 340}}
		if 3*i >= n && 3*i < 2*n {
			s.Status, s.Outcome = 503, load.ServerError
			x.Status, x.Ending, x.Faults = 503, Injected, 1
		}
		// What took long is written later: within a batch that is the order of ending.
		place := len(samples[i%2]) - min(len(samples[i%2]), int(took/gap)/2%7)
		samples[i%2] = append(samples[i%2], s)
		copy(samples[i%2][place+1:], samples[i%2][place:])
		samples[i%2][place] = s
		place = len(batch) - min(len(batch), int(took/gap)%11)
		batch = append(batch, x)
		copy(batch[place+1:], batch[place:])
		batch[place] = x
		if i%400 == 399 {
			flush()
		}
	}
	flush()
	must(sampleWriter.Close())
	must(exchangeWriter.Close())
	tl.Add(Event{At: Seconds(length / 3), Kind: KindInject, Fault: 1})
	tl.Add(Event{At: Seconds(2 * length / 3), Kind: KindHeal, Fault: 1, Hit: uint64(n / 3)})
	for at := time.Second; at <= length; at += time.Second {
		tl.Add(Event{At: Seconds(at), Kind: KindTick, Tick: &Tick{Offered: 4000, Ended: 4000, HiccupMax: Seconds(rng.IntN(30e6))}})
	}
	tl.Add(Event{At: Seconds(length), Kind: KindEnd})
	must(tl.Close())
	return dir
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%dk", n/1000), func(b *testing.B) {
			dir := bigRun(b, n)
			b.ReportAllocs()
			for b.Loop() {
				run, err := Read(dir)
				if err != nil || len(run.Samples) != n || len(run.Links["payments"].Exchanges) != n {
					b.Fatal(err)
				}
			}
		})
	}
}
