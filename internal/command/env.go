// Package command is what every command needs: the process around it, the config
// and what is made of it, the connection to Temporal, and how text is shown.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hookyard/hookyard/config"
)

// Env is what a command may touch of the process it runs in, and the
// program that it belongs to.
type Env struct {
	App            App
	Vars           []string // "NAME=value"
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Config is the file that --config names, for commands that read nothing
	// but its encryption and payload_store; nil or "" where it names none.
	Config *string
	// Hangups delivers, until stop is called, when somebody wants the config
	// to be read again; nil where nobody can.
	Hangups func() (asked <-chan os.Signal, stop func())
}

// Environ is os.Environ for this environment.
func (e Env) Environ() []string { return e.Vars }

// LookupEnv is os.LookupEnv for this environment.
func (e Env) LookupEnv(name string) (string, bool) {
	for _, v := range slices.Backward(e.Vars) {
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

// ErrSilent ends a command whose output has said what is wrong.
var ErrSilent = errors.New("failed")

// UsageError is a mistake in a command line.
type UsageError struct{ error }

// Usage makes an error a mistake in a command line: the program then exits with
// 2 and not with 1.
func Usage(err error) error { return UsageError{err} }

// Unwrap returns what was wrong.
func (e UsageError) Unwrap() error { return e.error }

// ExitCode prints an error, if there is one, and returns the exit code for it.
// Commands that the error names are printed as this program is started.
func ExitCode(err error, stderr io.Writer) int {
	var usage UsageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ErrSilent):
		return exitError
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, asTyped("hookyard: "+err.Error()))
		return exitUsage
	default:
		fmt.Fprintln(stderr, asTyped(message(err)))
		return exitError
	}
}

// message is an error as people read it. Mistakes in a config already say
// which file they are in.
func message(err error) string {
	if _, ok := errors.AsType[config.Mistakes](err); ok {
		return err.Error()
	}
	return "hookyard: " + err.Error()
}
