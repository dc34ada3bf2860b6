// Command hookyard receives webhooks and runs a Temporal Workflow for each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/workflows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(exitCode(run(ctx, os.Args[1:], environment{
		app: command.App{
			Workflows: []worker.Handler{
				worker.On("github.push", workflows.Push),
				worker.On("shopify.orders/create", workflows.OrderCreated),
				worker.On("stripe.invoice.paid", workflows.InvoicePaid),
			},
			Activities: []any{(*activities.Ledger)(nil), (*activities.Mail)(nil), (*activities.Build)(nil)},
			Open: func(ctx context.Context, s command.Setup) ([]any, func() error, error) {
				return activities.Open(ctx, hookyard.Setup(s))
			},
			Config: activities.Config{}, Demo: activities.Demo,
		},
		vars:    os.Environ(),
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		hangups: hangups,
	}), os.Stderr))
}

// environment is what a command may touch of the process it runs in, and the
// program that it belongs to.
type environment struct {
	app            command.App
	vars           []string // "NAME=value"
	stdin          io.Reader
	stdout, stderr io.Writer
	// hangups delivers, until stop is called, when somebody wants the config
	// to be read again; nil where nobody can.
	hangups func() (asked <-chan os.Signal, stop func())
}

// Environ and LookupEnv are os.Environ and os.LookupEnv for this environment.
func (e environment) Environ() []string { return e.vars }

func (e environment) LookupEnv(name string) (string, bool) {
	for _, v := range slices.Backward(e.vars) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// The exit codes.
const (
	exitOK    = 0
	exitError = 1 // what was asked for was not done
	exitUsage = 2 // it was not asked for in a way that can be understood

	exitInterrupted = 130 // as shells have it
)

// errSilent ends a command whose output has said what is wrong.
var errSilent = errors.New("failed")

// usageError is a mistake in a command line.
type usageError struct{ error }

func exitCode(err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitError
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "hookyard: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintln(stderr, message(err))
		return exitError
	}
}
