package requests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recording is a HAR of these requests.
func recording(requests ...string) string {
	for i, r := range requests {
		requests[i] = `{"startedDateTime":"2026-11-24T03:00:00Z","time":1,"request":` + r + `,"response":{"status":200}}`
	}
	return `{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[` + strings.Join(requests, ",") + `]}}`
}

func TestReadHAR(t *testing.T) {
	const home = `{"method":"GET","url":"https://shop.example/","httpVersion":"h2","headers":[],"cookies":[],"queryString":[]}`
	for _, tt := range []struct {
		name    string
		har     string
		want    []Request
		skipped int
	}{
		{
			"in order, counted", recording(home, `{"method":"GET","url":"http://a:1/b"}`, home, home),
			[]Request{{Method: "GET", Scheme: "https", Host: "shop.example", Path: "/", Weight: 3}, {Method: "GET", Scheme: "http", Host: "a:1", Path: "/b", Weight: 1}}, 0,
		}, {
			"headers of the connection go, cookies stay",
			recording(`{"method":"GET","url":"http://a/","headers":[{"name":":authority","value":"a"},{"name":":path","value":"/"},{"name":"host","value":"b"},
				{"name":"cookie","value":"a=1"},{"name":"Accept","value":"*/*"},{"name":"cookie","value":"b=2"},{"name":"accept-encoding","value":"br"},{"name":"Connection","value":"close"},
				{"name":"Content-Length","value":"9"},{"name":"TRANSFER-ENCODING","value":"chunked"},{"name":"traceparent","value":"00-1"},{"name":"X-Request-ID","value":"1"}],"cookies":[{"name":"a","value":"1"},{"name":"b","value":"2"}]}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"cookie", "a=1; b=2"}, {"Accept", "*/*"}}, Weight: 1}}, 0,
		}, {
			"cookies without their header", recording(`{"method":"GET","url":"http://a/","cookies":[{"name":"a","value":"1"},{"name":"b","value":"${2"}]}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"Cookie", "a=1; b=$${2"}}, Weight: 1}}, 0,
		}, {
			"nothing is a placeholder", recording(`{"method":"POST","url":"http://a/?q=${id}","headers":[{"name":"X","value":"${seq}"}],"postData":{"mimeType":"text/plain","text":"${x}"}}`),
			[]Request{{Method: "POST", Scheme: "http", Host: "a", Path: "/?q=$${id}", Headers: [][2]string{{"X", "$${seq}"}, {"Content-Type", "text/plain"}}, Body: []byte("$${x}"), Weight: 1}}, 0,
		}, {
			"a form of parameters", recording(`{"method":"POST","url":"http://a/","headers":[{"name":"content-type","value":"application/x-www-form-urlencoded; charset=utf-8"}],
				"postData":{"mimeType":"application/x-www-form-urlencoded; charset=utf-8","text":"","params":[{"name":"a b","value":"1&2"},{"name":"c"}]}}`),
			[]Request{{Method: "POST", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}, Body: []byte("a+b=1%262&c="), Weight: 1}}, 0,
		}, {
			"base64", recording(`{"method":"PUT","url":"http://a/","postData":{"mimeType":"","encoding":"base64","text":"AAE="}}`),
			[]Request{{Method: "PUT", Scheme: "http", Host: "a", Path: "/", Body: []byte{0, 1}, Weight: 1}}, 0,
		}, {
			"not HTTP", recording(`{"method":"GET","url":"ws://a/"}`, `{"method":"GET","url":"data:text/plain,x"}`, `{"method":"CONNECT","url":"http://a:443"}`, `{"method":"GET","url":"HTTP://a/é b"}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/%C3%A9%20b", Weight: 1}}, 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, skipped, err := ReadHAR(strings.NewReader(tt.har))
			if err != nil || skipped != tt.skipped {
				t.Fatalf("skipped %d, want %d; error %v", skipped, tt.skipped, err)
			}
			for i := range got {
				if len(got[i].Body) == 0 {
					got[i].Body = nil
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadHARRefuses(t *testing.T) {
	const fine = `{"method":"GET","url":"http://a/"}`
	for _, tt := range []struct{ name, har, want string }{
		{"nothing", "", "not a HAR file: EOF"},
		{"not JSON", "GET http://a/", "not a HAR file: "},
		{"another JSON", `{"entries":[]}`, "not a HAR file: it has no log"},
		{"no entries", recording(), "there are no HTTP requests in it"},
		{"only others", recording(`{"method":"GET","url":"ws://a/"}`), "there are no HTTP requests in it"},
		{"no request", `{"log":{"entries":[{}]}}`, "entry 1: its request has no method or no URL"},
		{"no URL", recording(fine, `{"method":"GET"}`), "entry 2: its request has no method or no URL"},
		{"no host", recording(fine, fine, `{"method":"GET","url":"http:///"}`), "entry 3: "},
		{"files uploaded", recording(fine, `{"method":"POST","url":"http://a/","postData":{"mimeType":"multipart/form-data","params":[{"name":"f","fileName":"x"}]}}`), "entry 2: body: the recording has no text"},
		{"bad base64", recording(`{"method":"POST","url":"http://a/","postData":{"encoding":"base64","text":"?"}}`), "entry 1: body: illegal base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ReadHAR(strings.NewReader(tt.har))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want %q in it", got, err, tt.want)
			}
		})
	}
}
