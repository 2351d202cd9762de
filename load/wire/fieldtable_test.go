package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// fieldsOf are the fields of a head, by a decoder that has seen those before it on its
// connection.
func fieldsOf(t *testing.T, d *hpack.Decoder, head []byte) (list []string) {
	t.Helper()
	var r FrameReader
	var block []byte
	for len(head) > 0 {
		n, ok, err := r.Next(head)
		if err != nil {
			t.Fatal(err)
		}
		if head = head[n:]; ok {
			block = append(block, r.Frame.Payload...)
		}
	}
	fields, err := d.DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	regular := false
	for _, f := range fields {
		if regular = regular || !f.IsPseudo(); regular && f.IsPseudo() {
			t.Errorf("%s comes behind a field that is none of a request's own", f.Name)
		}
		list = append(list, f.Name+": "+f.Value)
	}
	return list
}

// On one connection requests are the same by the peer's table as without it, whichever
// come first, and shorter.
func TestShareFields(t *testing.T) {
	const ours = len("user-agent") + len("x-request-id") + len("traceparent") // that are shared by all, but for a byte or two
	long := strings.Repeat("v", 1500)
	data := &Table{Names: []string{"v"}, Columns: [][]string{{"a", "bcd"}}}
	type request struct {
		method, path, host string
		headers            [][2]string
		body               string
	}
	for name, requests := range map[string][]request{
		"one":                   {{path: "/a", host: "h:1", headers: [][2]string{{"accept", "text/plain"}}}},
		"ids in the path":       {{path: "/a/${id}", host: "h:1"}},
		"two paths":             {{path: "/a", host: "h"}, {path: "/b/c", host: "h"}},
		"two hosts":             {{host: "h"}, {host: "g"}},
		"a header of one alone": {{host: "h", headers: [][2]string{{"x-one", "1"}}}, {host: "h"}},
		"other values":          {{host: "h", headers: [][2]string{{"x", "1"}}}, {host: "h", headers: [][2]string{{"x", "2"}}}},
		"a value of its own or not": {{host: "h", headers: [][2]string{{"x", "${id}"}}},
			{host: "h", headers: [][2]string{{"x", strings.Repeat("a", 32)}}}},
		"twice":          {{host: "h", headers: [][2]string{{"x", "1"}, {"y", "3"}, {"x", "2"}}}},
		"the same twice": {{host: "h", headers: [][2]string{{"x", "1"}, {"y", "${id}"}, {"x", "1"}}}},
		"in another order": {{host: "h", headers: [][2]string{{"x", "${id}"}, {"y", "2"}}},
			{host: "h", headers: [][2]string{{"y", "2"}, {"x", "${id}"}}}},
		"varying": {{host: "h", headers: [][2]string{{"x", "<${data.v}>"}, {"y", long}}},
			{host: "h", headers: [][2]string{{"y", long}}}},
		"longer in another": {{host: "h", headers: [][2]string{{"x", "${id}"}, {"y", "${id}"}, {"z", "${id}"}}},
			{host: "h", headers: [][2]string{{"x", long + "${id}"}, {"y", long + "${id}"}, {"z", long + "${id}"}}}},
		"too large for a table": {{host: "h", headers: [][2]string{{"x", long}, {"y", long}, {"z", long}}}},
		"bodies":                {{method: "POST", host: "h", body: "${id}"}, {method: "PUT", host: "h", body: "x"}},
		"an empty value":        {{host: "h", headers: [][2]string{{"x", ""}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var templates []*StreamTemplate
			for _, r := range requests {
				template, err := EncodeStream("http", r.method, r.path, r.host, r.headers, []byte(r.body), "", Fill{Run: 7, Data: data})
				if err != nil {
					t.Fatal(err)
				}
				templates = append(templates, template)
			}
			other, err := EncodeStream("http", "", "/other", "h", [][2]string{{"x", "3"}}, nil, "", Fill{Run: 7})
			if err != nil {
				t.Fatal(err)
			}
			want := map[*StreamTemplate][][]string{}
			for _, template := range templates {
				for seq := range uint64(3) {
					want[template] = append(want[template], fieldsOf(t, hpack.NewDecoder(0, nil), template.AppendHead(nil, Unindexed, 1, seq, nil)))
				}
			}
			ShareFields(templates)
			for first := range templates {
				peer := hpack.NewDecoder(headerTable, nil)
				form := Inserted
				for n := range 3 * len(templates) {
					template := templates[(first+n)%len(templates)]
					if !template.Shares() {
						t.Fatal("nothing is shared")
					}
					seq := uint64(n % 3)
					fieldsOf(t, peer, other.AppendHead(nil, Unindexed, 1, seq, nil)) // changes nothing
					fieldsOf(t, peer, template.AppendHead(nil, Unindexed, 1, seq, nil))
					head := template.AppendHead(nil, form, 1, seq, nil)
					got := fieldsOf(t, peer, head)
					if diff := cmp.Diff(byName(want[template][seq]), byName(got)); diff != "" {
						t.Errorf("request %d from %d, %v: %s", n, first, form, diff)
					}
					if whole := template.AppendHead(nil, Unindexed, 1, seq, nil); form == Indexed && len(head) > len(whole)-ours {
						t.Errorf("a head has %d bytes by the table and %d without it: %q", len(head), len(whole), got)
					}
					form = Indexed
				}
			}
		})
	}
}

// byName sorts fields by their names; what has the same name stays in its order.
func byName(fields []string) []string {
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(a, b string) int {
		nameOf := func(s string) string { return s[:strings.Index(s[1:], ":")+1] }
		return strings.Compare(nameOf(a), nameOf(b))
	})
	return fields
}

// Nothing is put into a table that has no room, and requests that have nothing in common
// share nothing.
func TestShareFieldsOfNone(t *testing.T) {
	ShareFields(nil)
	var templates []*StreamTemplate
	for i := range 2 {
		template, err := EncodeStream("http", "", "", fmt.Sprint("h", i), [][2]string{
			{"user-agent", fmt.Sprint(i)}, {"x-request-id", fmt.Sprint(i)}, {"traceparent", strings.Repeat("x", i)}}, nil, "", Fill{})
		if err != nil {
			t.Fatal(err)
		}
		templates = append(templates, template)
	}
	if ShareFields(templates); templates[0].Shares() || templates[1].Shares() {
		t.Error("they share something")
	}
}
