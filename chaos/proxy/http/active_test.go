package http

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// TestFirstAndEvery says which of ten matching exchanges are taken.
func TestFirstAndEvery(t *testing.T) {
	for _, tt := range []struct {
		selects toxic.Select
		want    []int
	}{
		{toxic.Select{Share: 1, First: 3}, []int{1, 2, 3}},
		{toxic.Select{Share: 1, First: 20}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{toxic.Select{Share: 1, Every: 3}, []int{3, 6, 9}},
		{toxic.Select{Share: 1, Every: 1}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{toxic.Select{Share: 1, Every: 2, First: 5}, []int{2, 4}},
		{toxic.Select{Share: 1, First: 3, Match: &toxic.Match{Method: "POST"}}, nil}, // they are GETs
	} {
		a := newActive(toxic.Reset{Select: tt.selects}, nil, 0)
		var got []int
		for i := 1; i <= 10; i++ {
			if a.decide(&toxic.Head{Method: []byte("GET")}, rand.New(rand.NewPCG(7, 7))).Verb == toxic.Break {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: -want +got:\n%s", tt.selects, diff)
		}
	}
}

// TestOnlyWhatMatchesIsCounted by first and every.
func TestOnlyWhatMatchesIsCounted(t *testing.T) {
	s := toxic.Select{Share: 1, First: 1, Match: &toxic.Match{Method: "POST"}}
	a := newActive(toxic.Reset{Select: s}, nil, 0)
	var got []string
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		if a.decide(&toxic.Head{Method: []byte(method)}, rand.New(rand.NewPCG(7, 7))).Verb == toxic.Break {
			got = append(got, method)
		}
	}
	if !slices.Equal(got, []string{"POST"}) {
		t.Errorf("took %v, want the first POST alone", got)
	}
}

func TestMaxActive(t *testing.T) {
	a := &active{selects: toxic.Select{MaxActive: 2}}
	got := []bool{a.acquire(), a.acquire(), a.acquire()}
	a.release()
	got = append(got, a.acquire(), a.acquire())
	if want := []bool{true, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("got hold: %v, want %v", got, want)
	}
	free := &active{}
	for range 100 {
		if !free.acquire() {
			t.Fatal("a toxic without a bound is full")
		}
	}
}
