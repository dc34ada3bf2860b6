package provider

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// unknownKey is what the YAML package says of a key that no field has.
var unknownKey = regexp.MustCompile(`^field (.+) not found in type provider\.(\w+)$`)

// plainMessage says what the YAML package says in the words of whoever wrote
// the file, who knows keys and no Go types.
func plainMessage(text string) string {
	m := unknownKey.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	known := keysOf(reflect.TypeFor[Spec](), m[2])
	if known == nil {
		return fmt.Sprintf("unknown key %q", m[1])
	}
	return fmt.Sprintf("unknown key %q; known: %s", m[1], strings.Join(known, ", "))
}

// keysOf returns the keys of the named type, which is t or a type of one of
// its fields; nil if there is none of that name.
func keysOf(t reflect.Type, name string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys, deeper []string
	for field := range t.Fields() {
		keys = append(keys, field.Tag.Get("yaml"))
		if deeper == nil {
			deeper = keysOf(field.Type, name)
		}
	}
	if t.Name() == name {
		slices.Sort(keys)
		return keys
	}
	return deeper
}
