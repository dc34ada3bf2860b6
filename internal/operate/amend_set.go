package operate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/hookyard/hookyard/internal/command"
)

// checkSets finds mistakes in the form of --set.
func checkSets(sets []string) error {
	for _, s := range sets {
		if path, _, ok := strings.Cut(s, "="); !ok || path == "" {
			return command.Usage(fmt.Errorf("--set %q: want PATH=VALUE, such as data.object.amount=12", s))
		}
	}
	return nil
}

// setAll returns the payload with the fields set, one after the other, and
// says on out what each of them was.
func setAll(payload []byte, sets []string, out io.Writer) ([]byte, error) {
	if !json.Valid(payload) {
		return nil, errors.New("the payload is not JSON, so --set cannot change it; give the whole of it with --file")
	}
	changed := bytes.Clone(payload)
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		if err := checkPath(changed, path); err != nil {
			return nil, fmt.Errorf("--set %q: %w", s, err)
		}
		was := gjson.GetBytes(changed, path)
		raw := rawValue(value)
		if was.Exists() && bytes.Equal([]byte(was.Raw), raw) {
			continue // sjson would write it anew all the same
		}
		next, err := sjson.SetRawBytes(changed, path, raw)
		if err != nil {
			return nil, fmt.Errorf("--set %q: %w", s, err)
		}
		if !json.Valid(next) {
			return nil, fmt.Errorf("--set %q: that would make the payload something else than JSON", s)
		}
		changed = next
		before := "not there before"
		if was.Exists() {
			before = "was " + command.PlainLine(was.Raw, 60)
		}
		fmt.Fprintf(out, "%s = %s (%s)\n", path, command.PlainLine(string(raw), 60), before)
	}
	return changed, nil
}

// rawValue is the value itself where it is JSON, else the JSON text of it.
func rawValue(value string) []byte {
	if json.Valid([]byte(value)) {
		return []byte(strings.TrimSpace(value))
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string always can be
	return bytes.TrimSpace(text.Bytes())
}

// checkPath refuses what sjson would make something unexpected of: patterns,
// fields of what has none, and places far behind the end of a list.
func checkPath(payload []byte, path string) error {
	parent := gjson.ParseBytes(payload)
	begin := 0
	for i := 0; i <= len(path); i++ {
		switch {
		case i < len(path) && path[i] == '\\':
			if i++; i == len(path) { // what follows is a character of the key
				return errors.New("the path ends in a backslash, and no character follows it")
			}
		case i < len(path) && (strings.IndexByte("*?#|@", path[i]) >= 0 || i == begin && strings.IndexByte("![{:", path[i]) >= 0):
			return fmt.Errorf("a path names keys and places, not patterns; as a character of a key, write \\%c", path[i])
		case i == len(path) || path[i] == '.':
			if err := checkField(parent, path[:max(begin-1, 0)], path[begin:i]); err != nil {
				return err
			}
			parent = gjson.GetBytes(payload, path[:i])
			begin = i + 1
		}
	}
	return nil
}

// checkField checks one step down from parent, which is what stands at path.
func checkField(parent gjson.Result, path, key string) error {
	if key == "" {
		return errors.New("the path has an empty key")
	}
	switch {
	case parent.IsArray():
		last := len(parent.Array())
		if n, err := strconv.ParseUint(key, 10, 31); err != nil || int(n) > last {
			return fmt.Errorf("%q is a list: want a place from 0 to %d, which adds one, found %q", path, last, key)
		}
	case !parent.Exists() || parent.Type == gjson.Null:
		if n, err := strconv.ParseInt(key, 10, 32); err == nil && n != 0 {
			return fmt.Errorf("%q is no list that has a place %d", path, n)
		}
	case !parent.IsObject():
		return fmt.Errorf("%q is %s, which has no fields", path, command.PlainLine(parent.Raw, 60))
	}
	return nil
}
