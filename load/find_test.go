package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		where, body string
		want        []string
		fails       string
	}{
		{"json:$.a[*].id", ` { "b" : [9], "a" : [ {"id":"x"} , {"id" : 7}, {"id":true,"n":[{}]} ] } `, []string{"x", "7", "true"}, ""},
		{"json:$[*]", `[]`, nil, ""},
		{"json:$[*]", ` [ "a,]\"}" ,1e3,-0 ] `, []string{`a,]"}`, "1e3", "-0"}, ""},
		{"json:$.a[1].b[*]", `{"a":[{"b":[1]},{"b":[2,3]}]}`, []string{"2", "3"}, ""},
		{"json:$.a[*]", `{"a":[1],"a":[2]}`, []string{"2"}, ""},
		{"json:$.a[*]", "{\"\\u0061\":[1]}", []string{"1"}, ""},
		{"json:$.a[*]", `{"a":{"b":1}}`, nil, "no array"},
		{"json:$.a[*]", `[1]`, nil, "no array"},
		{"json:$[*]", `[1,[2]]`, []string{"1"}, "element 1"},
		{"json:$[*].id", `[{"id":null}]`, nil, "element 0"},
		{"json:$[*]", `[1,2`, nil, "cut short"},
		{"json:$[*]", `[1] [2]`, nil, "cut short"},
		{"body~/id=([0-9]+)|(x)/", `id=1 x id=2`, []string{"1", "", "2"}, ""},
		{"body~[0-9]+", `1 22`, []string{"1", "22"}, ""},
	} {
		f, err := ParseFind(c.where, true)
		if err != nil {
			t.Fatalf("%s: %v", c.where, err)
		}
		var got []string
		err = f.Each([]byte(c.body), func(text string) { got = append(got, text) })
		if !slices.Equal(got, c.want) || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s in %s: %q, %v; want %q, %q", c.where, c.body, got, err, c.want, c.fails)
		}
	}
}

// What is found where it stands is what encoding/json finds in the whole.
func TestFindAgreesWithJSON(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		document, err := json.Marshal(anyValue(rng, 4))
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			var spaced bytes.Buffer
			if err := json.Indent(&spaced, document, " ", "\t"); err != nil {
				t.Fatal(err)
			}
			document = spaced.Bytes()
		}
		path := jsonPath{}
		for range rng.IntN(4) {
			if rng.IntN(2) == 0 {
				path = append(path, string(rune('a'+rng.IntN(3))))
			} else {
				path = append(path, rng.IntN(3))
			}
		}
		got, found := path.plain(document)
		whole, there := decoded(path, document)
		want, plain := plainText(whole)
		if got != want || found != plain {
			t.Fatalf("seed %d: %v in %s: %q, %v; want %q, %v", seed, path, document, got, found, want, plain)
		}
		if value, found := path.in(document); found != there || !reflect.DeepEqual(value, whole) {
			t.Fatalf("seed %d: %v in %s: %v, %v; want %v, %v", seed, path, document, value, found, whole, there)
		}
	}
}

// decoded is the value that a path leads to, found in the whole document.
func decoded(p jsonPath, document []byte) (value any, found bool) {
	in := json.NewDecoder(bytes.NewReader(document))
	in.UseNumber()
	if err := in.Decode(&value); err != nil {
		return nil, false
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, false
	}
	for _, step := range p {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			if value, found = object[step]; !found {
				return nil, false
			}
		case int:
			array, _ := value.([]any)
			if step >= len(array) {
				return nil, false
			}
			value = array[step]
		}
	}
	return value, true
}

// plainText is a value that is neither null nor made of others.
func plainText(value any) (string, bool) {
	switch value.(type) {
	case nil, map[string]any, []any:
		return "", false
	default:
		return fmt.Sprint(value), true
	}
}

// anyValue is some value of JSON.
func anyValue(rng *rand.Rand, deep int) any {
	kind := rng.IntN(7)
	if deep == 0 {
		kind = rng.IntN(5)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return rng.IntN(2) == 0
	case 2:
		return rng.NormFloat64()
	case 3:
		return []string{"", `"`, `\`, "a]b}c,", "\u2028\n", "[{"}[rng.IntN(6)]
	case 4:
		return rng.IntN(1000)
	case 5:
		var list []any
		for range rng.IntN(4) {
			list = append(list, anyValue(rng, deep-1))
		}
		return list
	}
	object := map[string]any{}
	for range rng.IntN(4) {
		object[string(rune('a'+rng.IntN(4)))] = anyValue(rng, deep-1)
	}
	return object
}

// What a service answers takes little more memory than it is long, whatever it has:
// an audit takes 256 MiB of it.
func TestFindTakesLittleMemory(t *testing.T) {
	const n = 1 << 20
	zeros := "[" + strings.Repeat("0,", n) + "0]"
	keys := new(strings.Builder)
	for i := range n / 4 {
		fmt.Fprintf(keys, `"%x":0,`, i)
	}
	for _, c := range []struct {
		where string
		each  bool
		body  string
	}{
		{"json:$.sum", false, `{"a":` + zeros + `,"sum":7}`},
		{"json:$.ids[*]", true, "{" + keys.String() + `"ids":[7]}`},
		{"json:$[1][*]", true, "[" + zeros + ",[7]]"},
		{"json:$[*].id", true, `[{"a":` + zeros + `,"id":7}]`},
	} {
		f, err := ParseFind(c.where, c.each)
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(c.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, ok := "", true
		if c.each {
			err = f.Each(body, func(text string) { got = text })
		} else {
			got, ok = f.One(body)
		}
		runtime.ReadMemStats(&after)
		if got != "7" || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", c.where, got, ok, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(len(body)) {
			t.Errorf("%s: an answer of %d KiB takes %d KiB more", c.where, len(body)>>10, took>>10)
		}
	}
}
