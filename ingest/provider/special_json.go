package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// member is one value of a JSON object.
type member struct {
	raw   json.RawMessage // nil where the object has none of that name
	start int             // the value's offset in the object
}

// members takes a JSON object apart. It refuses two names that are the same,
// or that differ in case only: the verifier could be shown one of them and the
// Workflow, whose decoder takes the last in any case, the other.
//
// Schemes that sign a few values inside the body read them with it.
func members(object []byte) (map[string]member, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	found, taken := map[string]member{}, map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("it is not JSON")
		}
		var m member
		if err := dec.Decode(&m.raw); err != nil {
			return nil, errors.New("it is not JSON")
		}
		m.start = int(dec.InputOffset()) - len(m.raw)
		// Upper case first: it also folds the two letters outside ASCII
		// that encoding/json takes for k and s.
		folded := strings.ToLower(strings.ToUpper(name))
		if taken[folded] {
			return nil, fmt.Errorf("it names %q twice", clip(name))
		}
		found[name], taken[folded] = m, true
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object")
	}
	return found, nil
}

// membersOf is members for a part of a delivery; where names the part.
func membersOf(where string, raw []byte) (map[string]member, error) {
	found, err := members(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, where, err)
	}
	return found, nil
}

// list returns the items of an array. No array, and an empty one, are none.
func (m member) list() []json.RawMessage {
	var items []json.RawMessage
	if err := json.Unmarshal(m.raw, &items); err != nil {
		return nil
	}
	return items
}

// text returns a string, and false for anything else.
func (m member) text() (string, bool) {
	var text *string
	if err := json.Unmarshal(m.raw, &text); err != nil || text == nil {
		return "", false
	}
	return *text, true
}

// scalar returns a string, a number or a boolean as it is written; "" for
// anything else.
func (m member) scalar() string {
	if text, ok := m.text(); ok {
		return text
	}
	if len(m.raw) == 0 || strings.ContainsRune("{[n\"", rune(m.raw[0])) {
		return ""
	}
	return string(m.raw)
}
