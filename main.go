package hookyard

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/dev"
	"github.com/hookyard/hookyard/internal/operate"
	"github.com/hookyard/hookyard/internal/serve"
	"github.com/hookyard/hookyard/internal/tools"
)

// Main is a program's main: it runs the command line of this process and exits.
// SIGINT and SIGTERM end a command that serves in order; a second one ends it at
// once.
func Main(app App) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(run( //nolint:revive // Main is a program's main
		ctx, app, Process{
			Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}, command.Hangups))
}

// Process is what Run may touch of the process it runs in.
type Process struct {
	Args           []string // the command line, without the program's name
	Env            []string // "NAME=value"
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs one command line and returns its exit code: 0 for success, 1 where
// what was asked for was not done, 2 where the command line is mistaken, 130
// where ctx was canceled. A command that serves stops, with all that it started,
// when ctx ends.
func Run(ctx context.Context, app App, p Process) (exitCode int) {
	return run(ctx, app, p, nil)
}

func run(ctx context.Context, app App, p Process, hangups func() (<-chan os.Signal, func())) int {
	env := command.Env{App: app.program(), Vars: p.Env, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Hangups: hangups}
	err := env.App.Check()
	if err != nil {
		err = fmt.Errorf("this program is put together wrongly: %w", err)
	} else {
		err = command.Execute(ctx, env, p.Args,
			slices.Concat(dev.Commands(env), serve.Commands(env), tools.Commands(env), operate.Commands(env))...)
	}
	return command.ExitCode(err, p.Stderr)
}
