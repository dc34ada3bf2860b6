// Package hookyard is Hookyard as a library: a team imports it, adds its own
// Workflows and Activities, and has a program of its own with the whole command
// line.
//
//	func main() {
//		hookyard.Main(hookyard.App{
//			Workflows: []hookyard.Handler{
//				hookyard.On("stripe.charge.refunded", workflows.ChargeRefunded, &activities.Shop{}),
//			},
//		})
//	}
//
// `hookyard new FOLDER` writes a repository with such a program. Package event has
// what a Workflow is given, package hookyardtest what its tests need, package
// config the types that a program's own section of the config is made of, and
// package ingest/provider what a signature scheme of one's own implements.
// Everything else is under internal/ and may change.
package hookyard

import (
	"context"
	"io/fs"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker"
)

// App is what a team adds to Hookyard. The zero App is Hookyard alone.
type App struct {
	// Workflows are the team's, by event type, with the Activities that they
	// call; On makes one. A run is matched to its Workflow by name for as long
	// as it is open, so a Workflow may be removed only once it has no open runs.
	Workflows []Handler

	// Open connects Activities that need more than settings, such as a database.
	// It is called once, by a worker that starts, and returns a value for each
	// Activity that On was given. The function that it returns, which may be
	// nil, is called once the worker has stopped. An error ends the program.
	//
	// Without Open, the worker registers the very values that On was given. The
	// exported fields of each struct are then its settings, under `app:` by the
	// name of its type: &activities.Shop{} with a field URL takes
	// `app: {shop: {url: https://shop.example}}`.
	Open func(ctx context.Context, s Setup) (activities []any, closeAll func() error, err error)

	// Config, which goes with Open, is a struct with the defaults of the
	// config's `app:` section; nil for a program without one. The section is
	// decoded strictly into a copy of it, and `check` and the start report each
	// mistake in it with its line. config.Options.App says which types its
	// fields, and those of Activity structs, may have. A change of the section
	// takes a restart.
	Config any

	// Providers holds provider files (*.yaml) and the samples beside them, as
	// `hookyard providers schema` describes them. nil for none.
	Providers fs.FS

	// Schemes are signatures that no provider file can describe, by the name
	// that a file gives as signature.scheme.
	Schemes map[string]provider.Scheme

	// Demo is the hookyard.yaml that `dev` runs in a folder without one; empty
	// for a program that has no demo. It is a text/template: {{.Listen}} is
	// the address to listen on, {{.Service}} the address of a service that dev
	// runs, which prints what it is sent and answers 202 on any path, {{.Send}}
	// the address of the API of the sending side. With a send section whose key
	// is file:secrets/send, the service is registered there as an endpoint of
	// the tenant "demo". Secrets at file:secrets/NAME are made up on first use,
	// in the form of Standard Webhooks; that of "store" is a key for the store.
	Demo string
}

// Setup is what App.Open is given.
type Setup struct {
	// Config is a pointer to a copy of App.Config with the `app:` section read
	// into it; nil where App.Config is nil.
	Config any
	// Logger is the program's. What is logged must hold no secret.
	Logger *slog.Logger
	// LookupEnv is os.LookupEnv, or a test's in its place.
	LookupEnv func(name string) (value string, ok bool)
	// Tracer takes spans of the team's own clients. It is never nil; where no
	// traces are kept, it drops them.
	Tracer trace.TracerProvider
}

// Handler is a Workflow and the events that it is for. On makes one.
type Handler = worker.Handler

// On hands the events whose Workflow Type, "<provider>.<event type>", fits the
// pattern to fn. A "*" in a pattern stands for any characters. An exact name is
// preferred to a pattern, and a longer pattern to a shorter one.
//
// The payload is decoded as JSON into T. For a form with a field "payload",
// that field is decoded. T may be []byte, which gives the bytes as they were
// signed. A payload that does not fit T parks the run with the reason
// "undecodable": a person amends it, or resumes the run once the Workflow takes
// it.
//
// An error that fn returns, and a panic, parks the run as well.
//
// The activities are those that fn calls. Each is a pointer to a struct, every
// exported method of which is an Activity under its own name, or a function. A
// nil pointer serves where App.Open makes the value. `check` and the config's
// `retry:` know their names from here; several Workflows may name the same one.
// Activities need no options: timeout and Retry Policy come from the config.
func On[T any](pattern string, fn func(ctx workflow.Context, ev event.Event, payload T) error, activities ...any) Handler {
	return worker.On(pattern, fn, activities...)
}

// Receive waits in a Workflow for a Signal of that name, which a route with
// `signal:` delivers, and returns the Event and its payload. The payload is
// decoded as On decodes one; one that does not fit T is an error. Each event is
// delivered once. If ctx is canceled before a Signal comes, the error is
// ctx.Err(). A Workflow that does other work meanwhile selects on
// workflow.GetSignalChannel, whose Signals are an event.Received.
func Receive[T any](ctx workflow.Context, name string) (event.Event, T, error) {
	return worker.Receive[T](ctx, name)
}

// program is the App as the commands take it.
func (a App) program() command.App {
	p := command.App{
		Workflows: a.Workflows, Config: a.Config,
		Providers: a.Providers, Schemes: a.Schemes, Demo: a.Demo,
	}
	if a.Open != nil {
		p.Open = func(ctx context.Context, s command.Setup) ([]any, func() error, error) {
			return a.Open(ctx, Setup(s))
		}
	}
	return p
}
