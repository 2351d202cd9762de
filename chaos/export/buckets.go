package export

import (
	"math"
	"sort"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// Exponential buckets grow by the factor 2^(1/2^schema), 1.044 here: a percentile that is
// read from them is off by 2.2% at most. Prometheus's native histograms and OTLP's
// exponential ones are the same buckets, but for their numbers.
const (
	schema    = 4
	perDouble = 1 << schema

	// Bucket i holds what is above 2^((i-1)/16) s and at most 2^(i/16) s. The histograms
	// tell times from half a microsecond apart, up to an hour.
	leastBucket = -22 * perDouble
	mostBucket  = 12 * perDouble
	nBuckets    = mostBucket - leastBucket + 1
)

// bounds are the fixed buckets of response times, in seconds.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// buckets are times that were counted since the start of a run.
type buckets struct {
	count       uint64
	sum         float64          // seconds
	exponential [nBuckets]uint64 // number leastBucket first
	fixed       [len(bounds)]uint64
}

// plus are the buckets with what is in h beside. A time counts where the end of its
// cell is, which is within a thousandth of it.
func (b *buckets) plus(h *hist.Histogram) *buckets {
	sum := *b
	h.Buckets(func(from, to time.Duration, count int64) {
		n, seconds := uint64(count), to.Seconds()
		sum.count += n
		sum.sum += float64(n) * (from.Seconds() + seconds) / 2
		sum.exponential[bucket(seconds)-leastBucket] += n
		if i := sort.SearchFloat64s(bounds[:], seconds/(1+1e-3)); i < len(bounds) {
			sum.fixed[i] += n
		}
	})
	return &sum
}

// bucket is the number of the exponential bucket of a time.
func bucket(seconds float64) int {
	if seconds <= 0 {
		return leastBucket
	}
	return min(max(int(math.Ceil(math.Log2(seconds)*perDouble)), leastBucket), mostBucket)
}

// span are the numbers of the first and the last exponential bucket that has something
// in it; false if none has.
func (b *buckets) span() (first, last int, some bool) {
	first, last = nBuckets, -1
	for i, n := range b.exponential {
		if n > 0 {
			first, last = min(first, i), i
		}
	}
	return first + leastBucket, last + leastBucket, last >= 0
}
