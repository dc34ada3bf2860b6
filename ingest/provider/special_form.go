package provider

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// formBody returns the parameters of a form, for the schemes that sign those
// and not the body. A body that is no form is refused: nothing would cover it.
func formBody(d *Delivery) (url.Values, error) {
	if len(d.Body) == 0 {
		return nil, nil
	}
	if !isForm(d.Header) {
		return nil, fmt.Errorf("%w: only a form is signed, and the body is none by its Content-Type", ErrMalformed)
	}
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: the body is not a form", ErrMalformed)
	}
	return form, nil
}

// What a multipart form may hold. A mail with all its headers and attachments
// has less than a hundred parts.
const (
	maxParts     = 1000
	maxPartField = 1 << 20 // bytes of a field that is no file
)

// formFields returns the fields of a form, of either kind, without files. A form
// with a mistake in it keeps the fields before that; a body that is no form has
// none.
func formFields(d *Delivery) url.Values {
	mediaType, parameters, _ := mime.ParseMediaType(d.Header.Get("Content-Type"))
	switch mediaType {
	case formType:
		form, _ := url.ParseQuery(string(d.Body))
		return form
	case multipartType:
		return multipartFields(d.Body, parameters["boundary"])
	default:
		return url.Values{}
	}
}

func multipartFields(body []byte, boundary string) url.Values {
	fields := url.Values{}
	if boundary == "" {
		return fields
	}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		part, err := reader.NextRawPart()
		if err != nil {
			break
		}
		if part.FormName() == "" || part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, maxPartField+1))
		if err != nil {
			break
		}
		if len(value) <= maxPartField {
			fields.Add(part.FormName(), string(value))
		}
	}
	return fields
}

func isMultipart(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == multipartType
}

func isForm(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == formType
}

// joinSorted writes each parameter, by name and then by value, as its name,
// between and its value; separator stands between parameters.
func joinSorted(form url.Values, between, separator string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Sorted(slices.Values(form[name])) {
			parts = append(parts, name+between+value)
		}
	}
	return strings.Join(parts, separator)
}

// withUserinfo returns the delivery's URL, and, where it came with basic auth,
// the URL that has the user and password in it: a provider that was given such
// a URL signs it so, and sends them as a header.
func withUserinfo(d *Delivery) []string {
	urls := []string{d.URL}
	request := http.Request{Header: d.Header}
	user, password, ok := request.BasicAuth()
	if !ok || len(d.Header["Authorization"]) != 1 {
		return urls
	}
	scheme, rest, ok := strings.Cut(d.URL, "://")
	authority, _, _ := strings.Cut(rest, "/")
	if !ok || strings.Contains(authority, "@") {
		return urls
	}
	return append(urls, scheme+"://"+url.UserPassword(user, password).String()+"@"+rest)
}
