package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// strictly decodes JSON. A field that nobody knows is a mistake: it may be the
// misspelling of one that matters.
func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var more json.RawMessage
	if err == nil && !errors.Is(d.Decode(&more), io.EOF) {
		return wrong(http.StatusBadRequest, "not_json", "the body goes on behind its JSON")
	}
	kind, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case err == nil:
		return nil
	case ok:
		return invalid(kind.Field, "it is a "+kind.Value+", and has to be another type")
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		field, _ := strconv.Unquote(strings.TrimPrefix(err.Error(), "json: unknown field "))
		return invalid(field, "there is no such field")
	case errors.Is(err, errDuration):
		return invalid("", errDuration.Error())
	default:
		return wrong(http.StatusBadRequest, "not_json", "the body is not JSON")
	}
}

var errDuration = errors.New(`a time span is a text such as "30s", "5m" or "24h"`)

// duration is a time span in JSON: "5m".
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return errDuration
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errDuration
	}
	*d = duration(parsed)
	return nil
}

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

const (
	mostListed    = 200
	defaultListed = 50
)

// page reads cursor and limit of a list.
func page(q url.Values) (cursor string, limit int, err error) {
	limit = defaultListed
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostListed {
			return "", 0, invalid("limit", "want 1 to 200")
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil {
		return "", 0, invalid("cursor", "it is not one that a list has returned")
	}
	return string(raw), limit, nil
}

// list is the answer of a list; next is null at the end.
func list[T any](data []T, next string) map[string]any {
	if data == nil {
		data = []T{}
	}
	answer := map[string]any{"data": data, "next": nil}
	if next != "" {
		answer["next"] = base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return answer
}
