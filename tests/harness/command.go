package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// usageError is a mistake in a command line.
type usageError struct{ error }

// Usage marks an error as a mistake in the command line.
func Usage(err error) error { return usageError{err} }

// The exit codes of a command.
const (
	exitError       = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// RunCommand runs a program's whole command line, prints its error and returns
// the exit code: 2 for a mistake in the command line, 130 after a Ctrl-C.
func RunCommand(run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitError
}

// Execute runs a command with its arguments, with errors left to the caller.
func Execute(ctx context.Context, cmd *cobra.Command, args []string, stdout, stderr io.Writer) error {
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	return cmd.ExecuteContext(ctx)
}
