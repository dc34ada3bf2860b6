package hookyardtest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
)

// Fakes stand in for Activities, by name. What the value of one is says what
// each attempt comes to:
//
//   - nil: success, without a result
//   - an error: that error; a type of failure is said with
//     temporal.NewApplicationError, a permanent one with
//     temporal.NewNonRetryableApplicationError
//   - []error: one error per attempt, in order, where nil is success; every
//     attempt after the last of them succeeds
//   - a function: what it returns, called with the arguments of the step. It
//     has the parameters and results of the Activity: a context.Context first,
//     which may be left out, and an error last
//   - any other value: that result
type Fakes map[string]any

// dynamic is the Activity of every name that no real one is registered for.
func (r *Run) dynamic(ctx context.Context, args converter.EncodedValues) (any, error) {
	name := activity.GetInfo(ctx).ActivityType.Name
	if name == event.ReportActivity {
		return nil, nil //nolint:nilnil // an Activity without a result
	}
	r.mu.Lock()
	fake, faked := r.fakes[name]
	if errs, ok := fake.([]error); ok {
		fake = nil
		if len(errs) > 0 {
			fake = errs[0]
			r.fakes[name] = slices.Clone(errs[1:])
		}
	}
	if !faked {
		r.misuse = fmt.Errorf("the Workflow called %q, for which there is neither a fake nor a real Activity: add it to Options.Fakes or Options.Activities", name)
	}
	r.mu.Unlock()
	if !faked {
		return nil, temporal.NewNonRetryableApplicationError("no Activity "+name, event.ErrorUnregistered, nil)
	}
	if err, ok := fake.(error); ok {
		return nil, err
	}
	if fake == nil || reflect.TypeOf(fake).Kind() != reflect.Func {
		return fake, nil
	}
	result, err, misuse := call(ctx, name, fake, args)
	if misuse != nil {
		r.mu.Lock()
		r.misuse = misuse
		r.mu.Unlock()
		return nil, temporal.NewNonRetryableApplicationError(misuse.Error(), "misuse", nil)
	}
	return result, err
}

// call calls a function with the arguments, decoded into its parameters.
func call(ctx context.Context, name string, function any, args converter.EncodedValues) (result any, err, misuse error) {
	f := reflect.ValueOf(function)
	var in, pointers []any
	for i := range f.Type().NumIn() {
		if i == 0 && f.Type().In(0) == reflect.TypeFor[context.Context]() {
			in = append(in, ctx)
			continue
		}
		p := reflect.New(f.Type().In(i)).Interface()
		in, pointers = append(in, p), append(pointers, p)
	}
	if len(pointers) > 0 {
		if err := args.Get(pointers...); err != nil {
			return nil, nil, fmt.Errorf("the fake of %q is %T, and the Workflow passes other arguments: %w", name, function, err)
		}
	}
	values := make([]reflect.Value, len(in))
	for i, v := range in {
		if values[i] = reflect.ValueOf(v); i >= len(in)-len(pointers) {
			values[i] = values[i].Elem()
		}
	}
	out := f.Call(values)
	err, _ = reflect.TypeAssert[error](out[len(out)-1])
	if len(out) > 1 {
		result = out[0].Interface()
	}
	return result, err, nil
}

// checkFake returns what is wrong with a fake.
func checkFake(name string, fake any, known []string) error {
	if !slices.Contains(known, name) {
		return fmt.Errorf("there is no Activity %q to fake; the Workflows of the App name %s: give hookyard.On the Activities that the Workflow calls", name, strings.Join(known, ", "))
	}
	f := reflect.TypeOf(fake)
	if f == nil || f.Kind() != reflect.Func {
		return nil
	}
	if n := f.NumOut(); n < 1 || n > 2 || f.Out(n-1) != reflect.TypeFor[error]() || f.IsVariadic() {
		return fmt.Errorf("the fake of %q is %T: want a function that returns an error, or a result and an error", name, fake)
	}
	return nil
}
