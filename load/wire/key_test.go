package wire

import (
	"fmt"
	"strings"
	"testing"
)

// ${key} is the same wherever it stands in the requests of an arrival, and its steps, and
// all keys come about as often.
func TestKeyIsOneOfAnArrival(t *testing.T) {
	const keys, seed = 7, 42
	fill := Fill{Run: 1, Seed: seed, Keys: keys}
	request, err := Encode("PUT", "/price/${key}", "host", [][2]string{{"X-Key", "${key}"}}, []byte("${key} ${rand:1-7}"), "", fill)
	if err != nil {
		t.Fatal(err)
	}
	var counts [keys + 1]int
	same := 0
	for arrival := uint64(1); arrival <= 7000; arrival++ {
		key := KeyOf(seed, keys, arrival)
		if key < 1 || key > keys || KeyOf(seed, keys, ArrivalOf(SeqOf(arrival, 3))) != key {
			t.Fatalf("arrival %d has key %d", arrival, key)
		}
		counts[key]++
		text := string(request.Append(nil, SeqOf(arrival, int(arrival%2))))
		if !strings.HasPrefix(text, fmt.Sprintf("PUT /price/%d HTTP", key)) || !strings.Contains(text, fmt.Sprintf("X-Key: %d\r\n", key)) ||
			!strings.Contains(text, fmt.Sprintf("\r\n\r\n%d ", key)) {
			t.Fatalf("arrival %d should have key %d:\n%s", arrival, key, text)
		}
		if strings.HasSuffix(text, fmt.Sprintf("%d %d", key, key)) {
			same++
		}
	}
	for key, n := range counts[1:] {
		if n < 850 || n > 1150 { // 1000, give or take five standard deviations
			t.Errorf("key %d came %d times of 7000", key+1, n)
		}
	}
	if same > 1200 {
		t.Errorf("${rand} was the key %d times of 7000: it is drawn with it", same)
	}
	if KeyOf(seed, 0, 1) != 0 {
		t.Error("there is a key where there are none")
	}
	if _, err := Encode("GET", "/${key}", "host", nil, nil, "", Fill{}); err == nil || !strings.Contains(err.Error(), "there are no keys") {
		t.Errorf("without keys: %v", err)
	}
}
