package http

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// TestPiecesAreExact sends responses of all shapes through the relay, in writes
// of all sizes, while they are passed on in pieces and some are truncated:
// net/http, which reads them, gets every byte up to there and none behind it.
func TestPiecesAreExact(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	for i := range 150 {
		body := make([]byte, []int{0, 1, rng.IntN(100), rng.IntN(20_000)}[rng.IntN(4)])
		for j := range body {
			body[j] = "0123456789abcdef\r\n"[rng.IntN(18)]
		}
		response, chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body), rng.IntN(2) == 0
		if chunked {
			response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + inChunks(rng, body)
		}
		remove := l.Add(3, toxic.SlowBody{Piece: unit.Size(1 + rng.IntN(3000)), Pause: time.Microsecond, Select: toxic.All})
		after, heal := len(body)+1, func() {}
		if rng.IntN(2) == 0 {
			after = rng.IntN(len(body) + 2)
			heal = l.Add(4, toxic.Truncate{After: unit.Size(after), Select: toxic.All})
		}
		cut := after < len(body) || chunked && after == len(body)

		c := l.Dial()
		c.Send(wiretest.Get)
		up := d.Take()
		up.Expect(wiretest.Get)
		sizes := rand.New(rand.NewPCG(seed, uint64(i+1))) // of the goroutine's own
		go func() {                                       // fails in the middle if it is cut
			for rest := response; rest != ""; {
				n := min(1+sizes.IntN(4000), len(rest))
				if _, err := io.WriteString(up, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		res, err := http.ReadResponse(c.In, nil)
		if err != nil {
			t.Fatalf("seed %d, response %d: %v", seed, i, err)
		}
		got, err := io.ReadAll(res.Body)
		want := string(body[:min(after, len(body))])
		if string(got) != want || errors.Is(err, io.ErrUnexpectedEOF) != cut || err != nil && !cut {
			t.Fatalf("seed %d, response %d, %d bytes, chunked: %v, truncated after %d: got %d bytes and %v", seed, i, len(body), chunked, after, len(got), err)
		}
		x := l.Next()
		if how := map[bool]evidence.Ending{false: evidence.Answered, true: evidence.Broken}[cut]; x.Ending != how || x.HitBy(4) != cut {
			t.Fatalf("seed %d, response %d: recorded %+v, truncated: %v", seed, i, x, cut)
		}
		heal()
		remove()
		c.Close()
		up.Close()
	}
}

// inChunks encodes a body in chunks of any size, with trailers at times.
func inChunks(rng *rand.Rand, body []byte) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(1+rng.IntN(2000), len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n")
	if rng.IntN(3) == 0 {
		b.WriteString("X-Sum: 7\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}
