package provider

import (
	"net/http"
	"net/url"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// view is a Delivery with what has been parsed out of it so far, and what its
// source was given. It lives as long as one call.
type view struct {
	*Delivery
	options map[string]string

	timestamp string // as sent, for {timestamp}
	id        string // for {id}
	secret    string // for {secret}
	mac       []byte // the secret of {hmac-…}
	granted   string // for {granted}
	item      string // one of a batch, as JSON; "" outside a batch
	element   string // what the item's digest is of; see EventSpec.Split

	listing struct{ from, to, count string } // of a list that is asked for, for {from}, {to} and {count}

	attemptFields []string // that digests leave out
	bodySum       string   // the body's digest, once it is known

	read        bool   // whether text and valid are set
	text        string // the body's bytes, and so is what is found in them
	valid       bool   // whether it is JSON
	form, query url.Values
}

// json returns the body as JSON, if it is any.
func (v *view) json() (text string, ok bool) {
	if !v.read {
		// A copy would be held for as long as the id that is found in it. The
		// body is never changed, so its bytes may be read as a string.
		v.read, v.text = true, unsafe.String(unsafe.SliceData(v.Body), len(v.Body)) //nolint:gosec // see above
		v.valid = validJSON(v.text)
	}
	return v.text, v.valid
}

// bodyDigest is the digest of the body less the attempt fields. In a batch
// those are the item's, and the body is taken as it is.
func (v *view) bodyDigest() string {
	if v.bodySum == "" {
		if text, valid := v.json(); valid && v.item == "" {
			v.bodySum = hexSHA256([]byte(without(text, v.attemptFields)))
		} else {
			v.bodySum = hexSHA256(v.Body)
		}
	}
	return v.bodySum
}

// itemDigest is the digest of the item less the attempt fields.
func (v *view) itemDigest() string { return hexSHA256([]byte(without(v.element, v.attemptFields))) }

// deliveryDigest is the digest of what the delivery carries.
func (v *view) deliveryDigest() (string, bool) {
	switch {
	case v.item != "":
		return v.itemDigest(), true
	case len(v.Body) > 0:
		return v.bodyDigest(), true
	case v.Method == http.MethodGet:
		_, query, _ := strings.Cut(v.URL, "?")
		query, _, _ = strings.Cut(query, "#")
		return hexSHA256([]byte(query)), query != ""
	default:
		return "", false
	}
}

// without returns a JSON text without the values at the paths. The rest of it
// stays byte for byte.
func without(text string, paths []string) string {
	for _, path := range paths {
		if !gjson.Get(text, path).Exists() {
			continue
		}
		if rest, err := sjson.Delete(text, path); err == nil {
			text = rest
		}
	}
	return text
}

func (v *view) formField(name string) (string, bool) {
	if v.form == nil {
		v.form = formFields(v.Delivery)
	}
	return first(v.form, name)
}

func (v *view) queryParameter(name string) (string, bool) {
	if v.query == nil {
		v.query = url.Values{}
		if u, err := url.Parse(v.URL); err == nil {
			v.query = u.Query()
		}
	}
	return first(v.query, name)
}

func (v *view) option(name string) (string, bool) {
	value := v.options[name]
	return value, value != ""
}

// baseURL is the URL without its query.
func (v *view) baseURL() string {
	base, _, _ := strings.Cut(v.URL, "?")
	return base
}

// first returns the one value of a name. Two values are none, as of a header.
func first(values url.Values, name string) (string, bool) {
	if len(values[name]) != 1 {
		return "", false
	}
	return values.Get(name), true
}

// header returns the one value of a header, by its canonical name. Two values are none: which of
// them the provider meant cannot be known.
func header(h http.Header, name string) (value string, ok bool) {
	values := h[name]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}
