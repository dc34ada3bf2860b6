package command

import (
	"errors"
	"fmt"
	"go/token"
	"reflect"
	"strconv"

	"github.com/hookyard/hookyard/config"
)

// section is the struct that the config's `app:` is decoded into: App.Config or,
// for a program without Open, a struct with a field for each Activity struct
// that has exported fields. nil for a program that has nothing to be set.
func (a App) section() any {
	if a.Config != nil || a.Open != nil {
		return a.Config
	}
	var fields []reflect.StructField
	var defaults []reflect.Value
	for _, activity := range a.withSettings() {
		t := structOf(activity)
		fields = append(fields, reflect.StructField{
			Name: t.Name(), Type: t, Tag: reflect.StructTag("config:" + strconv.Quote(config.KeyOf(t.Name()))),
		})
		given := reflect.Zero(t)
		if v := reflect.ValueOf(activity); !v.IsNil() {
			given = v.Elem()
		}
		defaults = append(defaults, given)
	}
	if len(fields) == 0 {
		return nil
	}
	section := reflect.New(reflect.StructOf(fields)).Elem()
	for i, given := range defaults {
		section.Field(i).Set(given)
	}
	return section.Interface()
}

// withSettings are the Activities that have settings.
func (a App) withSettings() (found []any) {
	for _, activity := range a.activities() {
		if t := structOf(activity); t != nil && hasSettings(t) {
			found = append(found, activity)
		}
	}
	return found
}

// checkSection returns what keeps the Activities' settings from being one
// section.
func (a App) checkSection() error {
	if a.Config != nil && a.Open == nil {
		return errors.New("App.Config goes with App.Open, which is nil: who would use it?")
	}
	if a.Open != nil {
		return nil
	}
	seen := map[string]reflect.Type{}
	for _, activity := range a.withSettings() {
		t := structOf(activity)
		if !token.IsExported(t.Name()) {
			return fmt.Errorf("%T has settings, so its name must be exported", activity)
		}
		if other, twice := seen[t.Name()]; twice {
			return fmt.Errorf("%s and %s would both be app.%s; rename one, or connect them with App.Open", other, t, config.KeyOf(t.Name()))
		}
		seen[t.Name()] = t
	}
	return nil
}

// configured returns the Activities of a program without Open: as they were
// given, but those with a section in the config as the config has them.
func (a App) configured(section any) []any {
	activities := a.activities()
	if a.Config != nil || section == nil {
		return activities
	}
	fields := reflect.ValueOf(section).Elem()
	for i, activity := range activities {
		t := structOf(activity)
		if t == nil {
			continue
		}
		if field := fields.FieldByName(t.Name()); field.IsValid() && field.Type() == t {
			activities[i] = field.Addr().Interface()
		}
	}
	return activities
}

// structOf returns the struct that an Activity points to, nil for a function.
func structOf(activity any) reflect.Type {
	t := reflect.TypeOf(activity)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || t.Elem().Name() == "" {
		return nil
	}
	return t.Elem()
}

// hasSettings reports whether the config can say something about the struct.
func hasSettings(t reflect.Type) bool {
	for f := range t.Fields() {
		if f.IsExported() && f.Tag.Get("config") != "-" {
			return true
		}
	}
	return false
}
