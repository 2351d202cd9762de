package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Logs that jHiccup and YCSB wrote come with the library. The figures are those
// that the tests of HdrHistogram's Java implementation have for the same files.
func TestReadLogsOfOldWriters(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/HdrHistogram/hdrhistogram-go").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, row := range []struct {
		file      string
		count     int64
		p999, max int64 // nanoseconds
	}{
		{"jHiccup-2.0.1.logV0.hlog", 61256, 1510998015, 1569718271},
		{"jHiccup-2.0.6.logV1.hlog", 65964, 1829765119, 1888485375},
		{"jHiccup-2.0.7S.logV2.hlog", 48761, 1745879039, 1796210687},
		{"ycsb.logV1.hlog", 300056, 1214463, 1546239},
	} {
		f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "test", row.file))
		if err != nil {
			t.Fatal(err)
		}
		log, err := ReadLog(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", row.file, err)
			continue
		}
		h := log.Histograms[""]
		if h.Count() != row.count || h.Lost() != 0 || log.Torn {
			t.Errorf("%s: %d values, %d lost, torn %t; want %d", row.file, h.Count(), h.Lost(), log.Torn, row.count)
		}
		if p999, most := h.Quantile(0.999), h.Quantile(1); p999 != time.Duration(row.p999) || most != time.Duration(row.max) {
			t.Errorf("%s: p99.9 %d, max %d; want %d, %d", row.file, p999, most, row.p999, row.max)
		}
	}
}

// old is the text of a histogram of 3 digits from 1µs to 1h in V1, or V0, with
// counts of so many bytes. size, if not 0, is what its head says of its counts.
func old(t *testing.T, v0 bool, word, size int, counts ...uint64) string {
	t.Helper()
	var body []byte
	for _, n := range counts {
		body = append(body, binary.BigEndian.AppendUint64(nil, n)[8-word:]...)
	}
	if size == 0 {
		size = len(body)
	}
	cookie := func(base uint32) []byte { return binary.BigEndian.AppendUint32(nil, base|uint32(word)<<4) }
	plain, packedBase := cookie(v1Plain), uint32(v1Packed)
	if v0 {
		plain, packedBase = cookie(v0Plain), v0Packed
		plain = append(plain, ownShape...)
		plain = binary.BigEndian.AppendUint64(plain, 12345) // the total, which nobody believes
	} else {
		plain = binary.BigEndian.AppendUint32(plain, uint32(size))
		plain = binary.BigEndian.AppendUint32(plain, 0)
		plain = append(plain, ownShape...)
		plain = binary.BigEndian.AppendUint64(plain, math.Float64bits(1))
	}
	var zipped bytes.Buffer
	w := zlib.NewWriter(&zipped)
	_, _ = w.Write(append(plain, body...))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed := binary.BigEndian.AppendUint32(cookie(packedBase), uint32(zipped.Len()))
	return base64.StdEncoding.EncodeToString(append(packed, zipped.Bytes()...))
}

func TestOldCounts(t *testing.T) {
	want := hdrhistogram.New(int64(resolution), int64(Highest), digits)
	for value, n := range map[time.Duration]int64{0: 3, 2 * 512: 5, 5 * 512: 200} { // the first counts are of 512 ns each
		if err := want.RecordValues(int64(value), n); err != nil {
			t.Fatal(err)
		}
	}
	counts := []uint64{3, 0, 5, 0, 0, 200, 0, 0, 0}
	for _, v0 := range []bool{false, true} {
		for _, word := range []int{1, 2, 4, 8} {
			got, err := decode(old(t, v0, word, 0, counts...))
			if err != nil || !got.Equals(want) || got.TotalCount() != 208 {
				t.Errorf("V0 %t, %d bytes: %+v, %v", v0, word, got, err)
			}
		}
	}
}

func TestOldCountsThatAreNone(t *testing.T) {
	unzipped := old(t, false, 8, 0, 1)
	for _, row := range []struct{ name, text, want string }{
		{"nothing", "", "too short"},
		{"not base64", "HIST!", "illegal base64"},
		{"of 3 bytes", old(t, false, 3, 0, 1, 2), "no counts of 3 bytes"},
		{"of no bytes", old(t, false, 0, 0, 1, 2), "no counts of 0 bytes"},
		{"half a count", old(t, false, 2, 3, 1, 2), "3 bytes are no counts of 2 bytes"},
		{"fewer than said", old(t, false, 2, 100, 1, 2), "its counts are of 4 bytes, not 100"},
		{"below 0", old(t, false, 8, 0, math.MaxUint64), "a count of 18446744073709551615"},
		{"past the end", old(t, true, 1, 0, append(make([]uint64, 100_000), 1)...), "overflows"},
		{"cut", unzipped[:len(unzipped)-8], "are compressed, not"},
		{"V1 around V0", strings.Replace(old(t, true, 8, 0, 1), "HISTiQ", "HISTgg", 1), "is no histogram"},
	} {
		if got, err := decode(row.text); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, error %v, want %s", row.name, got, err, row.want)
		}
	}
}

// Whatever stands in a line, it is read or refused.
func FuzzDecode(f *testing.F) {
	for _, raw := range [][]byte{{0x1c, 0x84, 0x93, 0x82, 0, 0, 0, 0}, {0x1c, 0x84, 0x93, 0x89, 0, 0, 0, 1, 0x78}} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = decode(base64.StdEncoding.EncodeToString(raw))
	})
}
