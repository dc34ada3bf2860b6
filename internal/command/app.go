package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/worker"
)

// App is what a team adds to Hookyard. The root package documents its fields.
type App struct {
	Workflows []worker.Handler
	Open      func(ctx context.Context, s Setup) (activities []any, closeAll func() error, err error)
	Config    any
	Providers fs.FS
	Schemes   map[string]provider.Scheme
	Demo      string
}

// Setup is what App.Open is given. The root package documents its fields.
type Setup struct {
	Config    any
	Logger    *slog.Logger
	LookupEnv func(name string) (value string, ok bool)
	Tracer    trace.TracerProvider
}

// Check returns what is wrong with an App, all of it.
func (a App) Check() error {
	errs := []error{worker.CheckHandlers(a.Workflows)}
	seen := map[string]bool{}
	for _, name := range worker.ActivityNames() {
		seen[name] = true
	}
	for _, activity := range a.activities() {
		names := methodsOf(activity)
		if len(names) == 0 {
			errs = append(errs, fmt.Errorf("%T is no Activity: want a function, or a pointer to a struct with exported methods", activity))
		}
		for _, name := range names {
			if seen[name] {
				errs = append(errs, fmt.Errorf("there are two Activities %q; rename one", name))
			}
			seen[name] = true
		}
	}
	if err := a.checkSection(); err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, config.CheckApp(a.section()))
	return errors.Join(errs...)
}

// activities are those of all Workflows, each type once.
func (a App) activities() []any {
	var all []any
	seen := map[string]bool{}
	for _, handler := range a.Workflows {
		for _, activity := range handler.Activities() {
			if name := typeName(activity); !seen[name] {
				seen[name] = true
				all = append(all, activity)
			}
		}
	}
	return all
}

// ActivityNames lists the Activities that the config may name under retry: the
// team's, and those of Hookyard's own that a policy applies to.
func (a App) ActivityNames() []string {
	names := worker.RouteActivities()
	for _, activity := range a.activities() {
		names = append(names, methodsOf(activity)...)
	}
	slices.Sort(names)
	return names
}

// OpenActivities returns the team's Activities, ready for use. closeAll is never
// nil where the error is nil.
func (a App) OpenActivities(ctx context.Context, s Setup) (activities []any, closeAll func() error, err error) {
	closeAll = func() error { return nil }
	if a.Open == nil {
		return a.configured(s.Config), closeAll, nil
	}
	activities, opened, err := a.Open(ctx, s)
	if opened != nil {
		closeAll = opened
	}
	if err == nil {
		err = sameTypes(a.activities(), activities)
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return activities, closeAll, nil
}

// sameTypes holds what Open returned against what the Workflows call, which is
// what `check` and `retry:` go by.
func sameTypes(called, opened []any) error {
	var errs []error
	names := func(activities []any) (names []string) {
		for _, a := range activities {
			names = append(names, typeName(a))
		}
		return names
	}
	for _, name := range names(called) {
		if !slices.Contains(names(opened), name) {
			errs = append(errs, fmt.Errorf("App.Open returned no %s, which a Workflow calls", name))
		}
	}
	for _, name := range names(opened) {
		if !slices.Contains(names(called), name) {
			errs = append(errs, fmt.Errorf("App.Open returned a %s, which no Workflow calls; give it to the Workflow's hookyard.On", name))
		}
	}
	return errors.Join(errs...)
}

// Catalog returns the built-in providers and the team's.
func (a App) Catalog() (*provider.Catalog, error) {
	catalog, err := provider.Builtin()
	if err != nil {
		return nil, err
	}
	if err := catalog.AddSchemes(a.Schemes); err != nil {
		return nil, fmt.Errorf("the program's own schemes: %w", err)
	}
	if a.Providers == nil {
		return catalog, nil
	}
	var errs []error
	for _, problem := range catalog.Add(a.Providers) {
		errs = append(errs, fmt.Errorf("the program's own provider file %w", problem))
	}
	return catalog, errors.Join(errs...)
}

// methodsOf returns the Activity Types that the SDK registers a value under:
// the exported methods of a struct, or the name of a function.
func methodsOf(activity any) []string {
	t := reflect.TypeOf(activity)
	if t == nil {
		return nil
	}
	if t.Kind() == reflect.Func {
		return []string{funcName(activity)}
	}
	var names []string
	for method := range t.Methods() {
		names = append(names, method.Name)
	}
	return names
}

// funcName is the last part of a function's name, as the SDK has it.
func funcName(f any) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return strings.TrimSuffix(name[strings.LastIndex(name, ".")+1:], "-fm")
}

// typeName names what an Activity is, for a comparison and for errors.
func typeName(activity any) string {
	if t := reflect.TypeOf(activity); t != nil && t.Kind() == reflect.Func {
		return "func " + funcName(activity)
	}
	return fmt.Sprintf("%T", activity)
}
