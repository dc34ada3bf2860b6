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
	Workflows  []worker.Handler
	Activities []any
	Open       func(ctx context.Context, s Setup) (activities []any, closeAll func() error, err error)
	Config     any
	Providers  fs.FS
	Schemes    map[string]provider.Scheme
	Demo       string
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
	errs := []error{config.CheckApp(a.Config), worker.CheckHandlers(a.Workflows)}
	seen := map[string]bool{}
	for _, name := range worker.ActivityNames() {
		seen[name] = true
	}
	for _, activity := range a.Activities {
		names := methodsOf(activity)
		if len(names) == 0 {
			errs = append(errs, fmt.Errorf("%T among the Activities is no function and has no exported method", activity))
		}
		for _, name := range names {
			if seen[name] {
				errs = append(errs, fmt.Errorf("there are two Activities %q; rename one", name))
			}
			seen[name] = true
		}
	}
	return errors.Join(errs...)
}

// ActivityNames lists the Activities that the config may name under retry: the
// team's, and those of Hookyard's own that a policy applies to.
func (a App) ActivityNames() []string {
	names := []string{worker.ForwardActivity}
	for _, activity := range a.Activities {
		names = append(names, methodsOf(activity)...)
	}
	slices.Sort(names)
	return names
}

// OpenActivities returns the team's Activities, connected. closeAll is never
// nil where the error is nil. Each type of App.Activities must be among what
// Open returns, and nothing else, because `check` and `retry:` go by that list.
func (a App) OpenActivities(ctx context.Context, s Setup) (activities []any, closeAll func() error, err error) {
	closeAll = func() error { return nil }
	if a.Open == nil {
		return a.Activities, closeAll, nil
	}
	activities, opened, err := a.Open(ctx, s)
	if opened != nil {
		closeAll = opened
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	declared, got := typeNames(a.Activities), typeNames(activities)
	for _, name := range declared {
		if !slices.Contains(got, name) {
			err = errors.Join(err, fmt.Errorf("Open returned no %s, which App.Activities lists", name))
		}
	}
	for _, name := range got {
		if !slices.Contains(declared, name) {
			err = errors.Join(err, fmt.Errorf("Open returned a %s, which App.Activities does not list; add it there", name))
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return activities, closeAll, nil
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

// typeNames names what the Activities are, for a comparison and for errors.
func typeNames(activities []any) []string {
	var names []string
	for _, a := range activities {
		if t := reflect.TypeOf(a); t != nil && t.Kind() == reflect.Func {
			names = append(names, "func "+funcName(a))
			continue
		}
		names = append(names, fmt.Sprintf("%T", a))
	}
	return names
}
