package strict

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	known := []string{"name", "opens_within", "closes_within", "to", "for", "on"}
	for _, row := range []struct{ name, want string }{
		{"opens_witin", "opens_within"},
		{"open_within", "opens_within"},
		{"opens_wihtin", "opens_within"}, // one swap
		{"OPENS_WITHIN", "opens_within"},
		{"nam", "name"},
		{"fro", "for"},  // one swap is nearer than two letters to "to"
		{"too", "to"},   // one of three letters
		{"x", ""},       // nothing of it is right
		{"latency", ""}, // far from all
		{"of", "on"},    // one of two letters
		{strings.Repeat("n", 1000), ""},
		{"", ""},
	} {
		if got := Nearest(row.name, known); got != row.want {
			t.Errorf("nearest to %q is %q, want %q", row.name, got, row.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0},
		{"abc", "acb", 1}, // swap
		{"abc", "axc", 1}, // replace
		{"abc", "abxc", 1}, {"kitten", "sitting", 3}, {"größe", "grösse", 2},
		{"ca", "abc", 3}, // no letter is touched twice (2 if it were)
	} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("%q to %q: %d, want %d", row.a, row.b, got, row.want)
		}
		if got := distance(row.b, row.a); got != row.want {
			t.Errorf("%q to %q: %d, want %d", row.b, row.a, got, row.want)
		}
	}
}

func TestSuggestListsWhatThereIs(t *testing.T) {
	for _, row := range []struct {
		known []string
		want  string
	}{
		{nil, "there are no links"},
		{[]string{"pay", "ship"}, "links are pay, ship"},
		{[]string{"pay", "stocks"}, `did you mean "stocks"?`},
	} {
		if got := Suggest("stock", "links", row.known); got != row.want {
			t.Errorf("%v: %s, want %s", row.known, got, row.want)
		}
	}
	if got := Suggest("?", "links", strings.Split(strings.Repeat("x,", 500), ",")); len(got) > 200 {
		t.Errorf("a hint of %d characters helps nobody", len(got))
	}
}

// A path can be read back, whatever the keys.
func TestPathsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.OneOf(rapid.StringMatching(`[a-z_-]{1,5}`), rapid.String())
		want := []step{{key: keys.Draw(t, "first"), index: -1}}
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			if rapid.Bool().Draw(t, "is index") {
				want = append(want, step{index: rapid.IntRange(0, 1000).Draw(t, "index")})
			} else {
				want = append(want, step{key: keys.Draw(t, "key"), index: -1})
			}
		}
		path := Path("")
		for _, s := range want {
			path = s.after(path)
		}
		got, rest, err := cutPath(string(path) + "=value=x")
		if err != nil || rest != "=value=x" {
			t.Fatalf("%s: rest %q, error %v", path, rest, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); diff != "" {
			t.Fatalf("%s: -want +got:\n%s", path, diff)
		}
		if !strings.HasSuffix(string(path), path.Tail()) {
			t.Fatalf("tail of %s is %s", path, path.Tail())
		}
	})
}

func TestTail(t *testing.T) {
	for path, want := range map[Path]string{
		"name": "name", "load.rate": "rate", "chaos[0].errors.status[1]": "status[1]", "chaos[3]": "chaos[3]",
		`targets.lb.process.files["a.b"]`: `files["a.b"]`, `targets["my.shop"].url`: "url", "": "",
	} {
		if got := path.Tail(); got != want {
			t.Errorf("tail of %s is %s, want %s", path, got, want)
		}
	}
}
