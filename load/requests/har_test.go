package requests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
		skipped []Skipped
	}{
		{
			"in order, counted", recording(home, `{"method":"GET","url":"http://a:1/b"}`, home, home),
			[]Request{{Method: "GET", Scheme: "https", Host: "shop.example", Path: "/", Weight: 3}, {Method: "GET", Scheme: "http", Host: "a:1", Path: "/b", Weight: 1}}, nil,
		}, {
			"headers of the connection go, cookies stay",
			recording(`{"method":"GET","url":"http://a/","headers":[{"name":":authority","value":"a"},{"name":":path","value":"/"},{"name":"host","value":"b"},
				{"name":"cookie","value":"a=1"},{"name":"Accept","value":"*/*"},{"name":"cookie","value":"b=2"},{"name":"accept-encoding","value":"br"},{"name":"Connection","value":"close"},
				{"name":"Content-Length","value":"9"},{"name":"TRANSFER-ENCODING","value":"chunked"},{"name":"traceparent","value":"00-1"},{"name":"X-Request-ID","value":"1"}],"cookies":[{"name":"a","value":"1"},{"name":"b","value":"2"}]}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"cookie", "a=1; b=2"}, {"Accept", "*/*"}}, Weight: 1}}, nil,
		}, {
			"cookies without their header", recording(`{"method":"GET","url":"http://a/","cookies":[{"name":"a","value":"1"},{"name":"b","value":"${2"}]}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"Cookie", "a=1; b=$${2"}}, Weight: 1}}, nil,
		}, {
			"nothing is a placeholder", recording(`{"method":"POST","url":"http://a/?q=${id}","headers":[{"name":"X","value":"${seq}"}],"postData":{"mimeType":"text/plain","text":"${x}"}}`),
			[]Request{{Method: "POST", Scheme: "http", Host: "a", Path: "/?q=$${id}", Headers: [][2]string{{"X", "$${seq}"}, {"Content-Type", "text/plain"}}, Body: []byte("$${x}"), Weight: 1}}, nil,
		}, {
			"a form of parameters", recording(`{"method":"POST","url":"http://a/","headers":[{"name":"content-type","value":"application/x-www-form-urlencoded; charset=utf-8"}],
				"postData":{"mimeType":"application/x-www-form-urlencoded; charset=utf-8","text":"","params":[{"name":"a b","value":"1&2"},{"name":"c"}]}}`),
			[]Request{{Method: "POST", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}, Body: []byte("a+b=1%262&c="), Weight: 1}}, nil,
		}, {
			"base64", recording(`{"method":"PUT","url":"http://a/","postData":{"mimeType":"","encoding":"base64","text":"AAE="}}`),
			[]Request{{Method: "PUT", Scheme: "http", Host: "a", Path: "/", Body: []byte{0, 1}, Weight: 1}}, nil,
		}, {
			"not HTTP", recording(`{"method":"GET","url":"ws://a/"}`, `{"method":"GET","url":"data:text/plain,x"}`, `{"method":"CONNECT","url":"http://a:443"}`, `{"method":"GET","url":"HTTP://a/é b"}`),
			[]Request{{Method: "GET", Scheme: "http", Host: "a", Path: "/%C3%A9%20b", Weight: 1}}, []Skipped{{"it is no HTTP request", 3, 1}},
		}, {
			"what cannot be sent is left out",
			recording(`{"method":"GET"}`, home, `{"method":"GET","url":"http:///"}`, `{"method":"GET","url":"http://a/","headers":[{"name":"X","value":"a\nb"}]}`,
				`{"method":"POST","url":"http://a/","postData":{"mimeType":"multipart/form-data","params":[{"name":"f","fileName":"x"}]}}`, `null`,
				`{"method":"POST","url":"http://a/","postData":{"mimeType":"text/x","params":[{"name":"f","value":"x"}]}}`,
				`{"method":"POST","url":"http://a/","postData":{"encoding":"base64","text":"?"}}`),
			[]Request{{Method: "GET", Scheme: "https", Host: "shop.example", Path: "/", Weight: 1}},
			[]Skipped{{"its request has no method or no URL", 2, 1}, {`"http:///" has no host`, 1, 3}, {`header X: value "a\nb" has a control character`, 1, 4},
				{"body: the recording lacks what an uploaded file held", 1, 5}, {`body: the recording has no text of a "text/x", only its parameters`, 1, 7},
				{"body: illegal base64 data at input byte 0", 1, 8}},
		}, {
			"a form in parts", recording(`{"method":"POST","url":"http://a/","headers":[{"name":"Content-Type","value":"multipart/form-data; boundary=xx"}],
				"postData":{"mimeType":"multipart/form-data; boundary=xx","params":[{"name":"title","value":"${id}"},{"name":"f\"\n","fileName":"a.txt","contentType":"text/plain","value":"hello"}]}}`),
			[]Request{{Method: "POST", Scheme: "http", Host: "a", Path: "/", Headers: [][2]string{{"Content-Type", "multipart/form-data; boundary=xx"}}, Weight: 1,
				Body: []byte("--xx\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n$${id}\r\n" +
					"--xx\r\nContent-Disposition: form-data; name=\"f%22%0A\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--xx--\r\n")}}, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, skipped, err := ReadHAR(strings.NewReader(tt.har))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.skipped, skipped); diff != "" {
				t.Errorf("skipped: -want +got:\n%s", diff)
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
	for _, tt := range []struct{ name, har, want string }{
		{"nothing", "", "not a HAR file: EOF"},
		{"not JSON", "GET http://a/", "not a HAR file: "},
		{"another JSON", `{"entries":[]}`, "not a HAR file: it has no log"},
		{"no entries", recording(), "there are no requests in it"},
		{"only others", recording(`{"method":"GET","url":"ws://a/"}`), "no request in it can be sent: entry 1: it is no HTTP request"},
		{"no request", `{"log":{"entries":[{},{}]}}`, "no request in it can be sent: 2 entries, the first is entry 1: its request has no method or no URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ReadHAR(strings.NewReader(tt.har))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want %q in it", got, err, tt.want)
			}
		})
	}
}

// What a recording posted as the parameters of a form is what a server reads
// from the parts that are sent, whatever the boundary that was recorded.
func TestFormsComeBack(t *testing.T) {
	fields := []string{"title", "a b\r\n--xx\r\n", "", "é\u0000\u001b", `quo"te\\`}
	for _, typed := range []string{"multipart/form-data; boundary=xx", "multipart/form-data", "multipart/form-data; boundary=\"a b\"",
		"multipart/form-data; boundary=" + strings.Repeat("x", 71), "multipart/form-data; charset=utf-8; boundary=stormctl-form-0"} {
		params := []string{}
		for i, v := range fields {
			value, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			params = append(params, fmt.Sprintf(`{"name":"f%d","value":%s}`, i, value), fmt.Sprintf(`{"name":"file%d","fileName":"%d.bin","value":%s}`, i, i, value))
		}
		header, _ := json.Marshal(typed)
		list, skipped, err := ReadHAR(strings.NewReader(recording(fmt.Sprintf(`{"method":"POST","url":"http://a/","headers":[{"name":"content-type","value":%s}],
			"postData":{"mimeType":%s,"params":[%s]}}`, header, header, strings.Join(params, ",")))))
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", typed, skipped, err)
		}
		r, err := http.NewRequest(http.MethodPost, "http://a/", bytes.NewReader(list[0].Body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", list[0].Headers[0][1])
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Fatalf("%s, sent as %s: %v", typed, list[0].Headers[0][1], err)
		}
		for i, want := range fields {
			if got := r.MultipartForm.Value[fmt.Sprint("f", i)]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: field %d is %q, want %q", typed, i, got, want)
			}
			files := r.MultipartForm.File[fmt.Sprint("file", i)]
			if len(files) != 1 || files[0].Filename != fmt.Sprintf("%d.bin", i) {
				t.Fatalf("%s: file %d is %v", typed, i, files)
			}
			f, err := files[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || string(got) != want {
				t.Errorf("%s: file %d holds %q, want %q (%v)", typed, i, got, want, err)
			}
		}
	}
}
