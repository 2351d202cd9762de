package reference

import (
	"strings"
	"testing"
)

// A store has its database by a link called primary, or by its only one.
func TestStoreFindsItsDatabase(t *testing.T) {
	const db = "http://127.0.0.1:1"
	for _, c := range []struct {
		name string
		with map[string]string
		deps map[string]string
		want string // part of the error; "" if there is none
	}{
		{"by name", nil, map[string]string{"primary": db, "other": db}, ""},
		{"by being the only one", nil, map[string]string{"east": db}, ""},
		{"none", nil, nil, "needs a link primary"},
		{"two others", nil, map[string]string{"east": db, "west": db}, "needs a link primary"},
		{"a replica alone", map[string]string{"read": "replica"}, map[string]string{"replica": db}, "needs a link primary"},
		{"no replica", map[string]string{"read": "replica"}, map[string]string{"east": db}, "needs a link replica"},
	} {
		settings, err := parseStore(c.with)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newStore(t.Context(), settings, c.deps)
		if err == nil {
			s.close()
		}
		if got := err == nil; got != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
