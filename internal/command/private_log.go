package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/internal/payload"
)

// privateLog leaves out what the errors of a run say, while payloads are
// encrypted: the error of a step may quote the payload, or what an outside system
// has answered. The run has the whole error, encrypted.
type privateLog struct {
	log.Logger
	codec *payload.Codec
	ofRun bool // what is logged is about a run
}

var (
	_ log.WithLogger      = privateLog{}
	_ log.WithSkipCallers = privateLog{}
)

// Debug implements log.Logger.
func (l privateLog) Debug(msg string, keyvals ...any) { l.Logger.Debug(msg, l.hide(keyvals)...) }

// Info implements log.Logger.
func (l privateLog) Info(msg string, keyvals ...any) { l.Logger.Info(msg, l.hide(keyvals)...) }

// Warn implements log.Logger.
func (l privateLog) Warn(msg string, keyvals ...any) { l.Logger.Warn(msg, l.hide(keyvals)...) }

// Error implements log.Logger.
func (l privateLog) Error(msg string, keyvals ...any) { l.Logger.Error(msg, l.hide(keyvals)...) }

// With implements log.WithLogger.
func (l privateLog) With(keyvals ...any) log.Logger {
	l.ofRun = l.ofRun || aboutRun(keyvals)
	l.Logger = log.With(l.Logger, l.hide(keyvals)...)
	return l
}

// WithCallerSkip implements log.WithSkipCallers.
func (l privateLog) WithCallerSkip(depth int) log.Logger {
	l.Logger = log.Skip(l.Logger, depth)
	return l
}

// hide replaces the values of the keys under which the SDK and the Workflows log
// errors.
func (l privateLog) hide(keyvals []any) []any {
	if !l.codec.On() || !l.ofRun && !aboutRun(keyvals) {
		return keyvals
	}
	hidden := slices.Clone(keyvals)
	for i := 1; i < len(hidden); i += 2 {
		switch hidden[i-1] {
		case "Error", "err", "PanicError":
			hidden[i] = withoutText(hidden[i])
		}
	}
	return hidden
}

// aboutRun reports whether the SDK says of which run or Activity it logs.
func aboutRun(keyvals []any) bool {
	for i := 0; i < len(keyvals); i += 2 {
		switch keyvals[i] {
		case "WorkflowType", "ActivityType", "LocalActivityType":
			return true
		}
	}
	return false
}

// withoutText keeps the type of an error, and all of one that is about a missing
// key: that one quotes nothing.
func withoutText(value any) any {
	if strings.Contains(fmt.Sprint(value), payload.ErrUnknownKey.Error()) {
		return value
	}
	kind := ""
	if err, ok := value.(error); ok {
		if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok {
			kind = failed.Type() + ", "
		}
	}
	return "(" + kind + "private: the run has the text)"
}
