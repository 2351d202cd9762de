package requests

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// harPost is what a request posted: as a text, or as the parameters of a form.
type harPost struct {
	MimeType string     `json:"mimeType"`
	Text     *string    `json:"text"`
	Encoding string     `json:"encoding"` // not in the standard, but written: base64
	Params   []harParam `json:"params"`
}

// harParam is a field of a form. What a file held is in Value, if the recorder
// kept it.
type harParam struct {
	Name        string  `json:"name"`
	Value       *string `json:"value"`
	FileName    *string `json:"fileName"`
	ContentType string  `json:"contentType"`
}

func (p harParam) text() string {
	if p.Value == nil {
		return ""
	}
	return *p.Value
}

const (
	urlEncoded    = "application/x-www-form-urlencoded"
	multipartForm = "multipart/form-data"
)

// body is what is sent again, and the Content-Type that goes with it. typed is
// that of the recorded header, "" if there was none.
func (p *harPost) body(typed string) (content, mimeType string, err error) {
	mimeType = cmp.Or(typed, p.MimeType)
	switch {
	case p.Text != nil && p.Encoding == "base64":
		b, err := base64.StdEncoding.DecodeString(*p.Text)
		return string(b), mimeType, err
	case p.Text != nil && (*p.Text != "" || len(p.Params) == 0):
		return *p.Text, mimeType, nil
	case len(p.Params) == 0:
		return "", mimeType, nil
	}
	form, parameters, err := mime.ParseMediaType(cmp.Or(p.MimeType, typed))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("its type %q cannot be read, and the recording has only its parameters", cmp.Or(p.MimeType, typed))
	case form == urlEncoded:
		return p.urlEncoded(), mimeType, nil
	case form != multipartForm:
		return "", "", fmt.Errorf("the recording has no text of a %q, only its parameters", form)
	}
	if _, sent, err := mime.ParseMediaType(typed); err == nil && sent["boundary"] != "" {
		parameters = sent
	}
	content, boundary, err := p.multipart(parameters["boundary"])
	if parameters["boundary"] != boundary {
		mimeType = mime.FormatMediaType(multipartForm, map[string]string{"boundary": boundary})
	}
	return content, mimeType, err
}

func (p *harPost) urlEncoded() string {
	pairs := make([]string, len(p.Params))
	for i, f := range p.Params {
		pairs[i] = url.QueryEscape(f.Name) + "=" + url.QueryEscape(f.text())
	}
	return strings.Join(pairs, "&")
}

// multipart is the form as parts (RFC 7578), between boundaries such as were
// recorded, or others if those cannot be or stand within a part.
func (p *harPost) multipart(recorded string) (content, boundary string, err error) {
	boundary = recorded
	for n := 0; ; n++ {
		if n > 0 || recorded == "" {
			boundary = fmt.Sprintf("stormctl-form-%d", n) // none that is drawn: the same recording is sent as the same bytes
		}
		taken := slices.ContainsFunc(p.Params, func(f harParam) bool { return strings.Contains(f.text(), "--"+boundary) })
		var out bytes.Buffer
		form := multipart.NewWriter(&out)
		if taken || form.SetBoundary(boundary) != nil {
			continue
		}
		for _, f := range p.Params {
			if f.FileName != nil && f.Value == nil {
				return "", boundary, errors.New("the recording lacks what an uploaded file held")
			}
			part, err := form.CreatePart(f.head())
			if err != nil {
				return "", boundary, err
			}
			_, _ = part.Write([]byte(f.text())) // into memory: it cannot fail
		}
		_ = form.Close()
		return out.String(), boundary, nil
	}
}

// head is what stands before a part.
func (p harParam) head() textproto.MIMEHeader {
	head := textproto.MIMEHeader{}
	escape := strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22").Replace // as browsers do (the HTML standard, 4.10.21.8)
	disposition := fmt.Sprintf(`form-data; name="%s"`, escape(p.Name))
	if p.FileName != nil {
		disposition += fmt.Sprintf(`; filename="%s"`, escape(*p.FileName))
	}
	head.Set("Content-Disposition", disposition)
	if p.ContentType != "" {
		head.Set("Content-Type", escape(p.ContentType))
	}
	return head
}

// contentType is that of the recorded headers, "" if they have none.
func (h *harRequest) contentType() string {
	for _, f := range h.Headers {
		if strings.EqualFold(f.Name, "Content-Type") {
			return f.Value
		}
	}
	return ""
}

// setContentType puts it in the place of the one there is, if there is one.
func (r *Request) setContentType(value string) {
	for i, h := range r.Headers {
		if strings.EqualFold(h[0], "Content-Type") {
			r.Headers[i][1] = value
			return
		}
	}
	r.Headers = append(r.Headers, [2]string{"Content-Type", value})
}
