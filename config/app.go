package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// Path is a path in a program's own section. A relative one is joined to the
// folder of the config file.
type Path string

// URL is an absolute http or https URL in a program's own section. It holds no
// user, password or fragment.
type URL string

// Validator is what a struct of a program's own section may implement, with a
// pointer as receiver. Validate is called once the struct is filled in. Its
// error becomes a mistake at the line of the struct's key; one error per line
// of its text.
type Validator interface {
	Validate() error
}

// CheckApp reports what keeps a type from standing for a program's own section:
// it must be a struct, and each exported field of a type that the section's
// decoder knows (see Options.App). A nil prototype is fine.
func CheckApp(prototype any) error {
	if prototype == nil {
		return nil
	}
	t := reflect.TypeOf(prototype)
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%T is not a struct; give the struct itself, with its defaults filled in", prototype)
	}
	return checkAppType(t, t.Name(), nil)
}

var (
	secretType   = reflect.TypeFor[Secret]()
	pathType     = reflect.TypeFor[Path]()
	urlType      = reflect.TypeFor[URL]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func checkAppType(t reflect.Type, at string, above []reflect.Type) error {
	if t == secretType || t == pathType || t == urlType || t == durationType || reflect.PointerTo(t).Implements(textType) {
		return nil
	}
	switch t.Kind() { //nolint:exhaustive // the others are refused
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return nil
	case reflect.Slice:
		return checkAppType(t.Elem(), at+"[]", above)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%s is a map whose keys are no strings", at)
		}
		return checkAppType(t.Elem(), at+"[]", above)
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct {
			return checkAppType(t.Elem(), at, above)
		}
	case reflect.Struct:
		if slices.Contains(above, t) {
			return fmt.Errorf("%s holds itself", at)
		}
		for f := range t.Fields() {
			if f.IsExported() && f.Tag.Get("config") != "-" {
				if err := checkAppType(f.Type, at+"."+f.Name, append(above, t)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return fmt.Errorf("%s has type %s, which a config section cannot hold", at, t)
}

// app reads the program's own section into a copy of the prototype. The copy is
// made, with the prototype's defaults, where the section is absent too.
func (d *decoder) app(to *any) func(value) {
	return func(v value) {
		if d.opts.App == nil {
			d.mistake(v, "this program has no settings of its own; remove it")
			return
		}
		d.decode(v, reflect.ValueOf(*to).Elem())
	}
}

// newApp returns a pointer to a copy of the prototype.
func newApp(prototype any) any {
	if prototype == nil {
		return nil
	}
	p := reflect.New(reflect.TypeOf(prototype))
	p.Elem().Set(reflect.ValueOf(prototype))
	return p.Interface()
}

// decode reads a value into a field of a program's own struct.
func (d *decoder) decode(v value, into reflect.Value) {
	switch to := into.Addr().Interface().(type) {
	case *Secret:
		d.secret(to)(v)
		return
	case *Path:
		d.path((*string)(to))(v)
		return
	case *URL:
		d.url((*string)(to))(v)
		return
	case *time.Duration:
		d.duration(to)(v)
		return
	case encoding.TextUnmarshaler:
		if s, ok := d.text(v, "a text"); ok {
			if err := to.UnmarshalText([]byte(s)); err != nil {
				d.mistake(v, "%v", err)
			}
		}
		return
	}
	switch into.Kind() { //nolint:exhaustive // CheckApp has refused the others
	case reflect.String:
		if s, ok := d.text(v, "a text"); ok {
			into.SetString(s)
		}
	case reflect.Bool:
		if v.node.Tag != "!!bool" {
			d.wrong(v, "true or false")
			return
		}
		into.SetBool(strings.EqualFold(v.node.Value, "true"))
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n, ok := d.number(v, "a whole number"); ok {
			if n != float64(int64(n)) || into.OverflowInt(int64(n)) {
				d.mistake(v, "want a whole number, found %s", v.node.Value)
				return
			}
			into.SetInt(int64(n))
		}
	case reflect.Float64:
		if n, ok := d.number(v, "a number"); ok {
			into.SetFloat(n)
		}
	case reflect.Pointer:
		if isNull(v.node) {
			d.wrong(v, "a mapping")
			return
		}
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		d.decode(v, into.Elem())
	case reflect.Slice:
		d.decodeList(v, into)
	case reflect.Map:
		d.decodeMap(v, into)
	case reflect.Struct:
		d.decodeStruct(v, into)
	}
}

func (d *decoder) decodeList(v value, into reflect.Value) {
	items := d.items(v, "values", "leave it out")
	list := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		d.decode(item, list.Index(i))
	}
	into.Set(list)
}

func (d *decoder) decodeMap(v value, into reflect.Value) {
	entries, ok := d.entries(v, "a mapping")
	if !ok {
		return
	}
	m := reflect.MakeMap(into.Type())
	for _, entry := range entries {
		element := reflect.New(into.Type().Elem()).Elem()
		d.decode(entry, element)
		m.SetMapIndex(reflect.ValueOf(entry.name()).Convert(into.Type().Key()), element)
	}
	into.Set(m)
}

// appField is a field of a program's own struct.
type appField struct {
	field
	whole bool // a struct, whose required keys are missed where it is absent
}

// isSection reports whether the type is a struct with keys of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != secretType && !reflect.PointerTo(t).Implements(textType)
}

func (d *decoder) decodeStruct(v value, into reflect.Value) {
	before := len(d.mistakes)
	var known []appField
	var required []string
	for f := range into.Type().Fields() {
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("config"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = KeyOf(f.Name)
		}
		if options == "required" {
			required = append(required, name)
		}
		known = append(known, appField{
			field: field{name, func(v value) { d.decode(v, into.FieldByIndex(f.Index)) }},
			whole: isSection(f.Type),
		})
	}
	fields := make([]field, len(known))
	for i, f := range known {
		fields[i] = f.field
	}
	has := d.fields(v, fields)
	if has == nil {
		return
	}
	for _, f := range known {
		if _, ok := has[f.key]; !ok && f.whole {
			f.read(value{keys: child(v.keys, f.key), line: v.line, node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}})
		}
	}
	for _, name := range required {
		if _, ok := has[name]; !ok {
			d.mistake(v, "no %s; add %s:", name, name)
		}
	}
	if validator, ok := reflect.TypeAssert[Validator](into.Addr()); ok && len(d.mistakes) == before {
		if err := validator.Validate(); err != nil {
			for text := range strings.SplitSeq(err.Error(), "\n") {
				d.mistake(v, "%s", text)
			}
		}
	}
}

// KeyOf writes a Go name as a key of the config: MaxSize is max_size, APIKey is api_key.
func KeyOf(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		startsWord := i > 0 && unicode.IsUpper(r) &&
			(unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if startsWord {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// appAbsent checks the prototype's defaults where the file has no app section:
// a required key is then missing too.
func (d *decoder) appAbsent(v value, into any) {
	empty := value{keys: child(v.keys, "app"), line: v.line, node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}
	d.decode(empty, reflect.ValueOf(into).Elem())
}
