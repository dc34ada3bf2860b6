package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// fatalError is what the server said when it could not go on.
type fatalError string

func (e fatalError) Error() string { return "temporal gave up: " + string(e) }

// newLogger returns the server's logger. Unless a level was asked for, the
// gate keeps back what the server says while it starts and stops: its parts
// wait for each other then, and report that as errors.
func newLogger(w io.Writer, opts options, g *gate, fatal context.CancelCauseFunc) log.Logger {
	handlerOptions := &slog.HandlerOptions{Level: opts.logLevel}
	var handler slog.Handler = slog.NewTextHandler(w, handlerOptions)
	if opts.logJSON {
		handler = slog.NewJSONHandler(w, handlerOptions)
	}
	if !opts.logLevelSet {
		handler = gatedHandler{handler, g}
	}
	return logger{slog: slog.New(handler), fatal: fatal}
}

// logger lets the server log through slog.
type logger struct {
	slog  *slog.Logger
	fatal context.CancelCauseFunc
}

var (
	_ log.Logger      = logger{}
	_ log.WithLogger  = logger{}
	_ log.SLogWrapper = logger{}
)

func (l logger) Debug(msg string, tags ...tag.Tag)  { l.log(slog.LevelDebug, msg, tags) }
func (l logger) Info(msg string, tags ...tag.Tag)   { l.log(slog.LevelInfo, msg, tags) }
func (l logger) Warn(msg string, tags ...tag.Tag)   { l.log(slog.LevelWarn, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag)  { l.log(slog.LevelError, msg, tags) }
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// Panic panics, as its callers count on.
func (l logger) Panic(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(describe(msg, tags)) //nolint:forbidigo // the server's Logger interface asks for it
}

// Fatal has the whole server stopped in order and run return the reason.
func (l logger) Fatal(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	l.fatal(fatalError(describe(msg, tags)))
}

// With returns a logger that adds the tags to everything.
func (l logger) With(tags ...tag.Tag) log.Logger {
	return logger{slog: slog.New(l.slog.Handler().WithAttrs(attrs(tags))), fatal: l.fatal}
}

// SLog is the logger that the server hands to the SDK inside it.
func (l logger) SLog() *slog.Logger { return l.slog }

func (l logger) log(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if l.slog.Enabled(ctx, level) {
		l.slog.LogAttrs(ctx, level, msg, attrs(tags)...) //nolint:sloglint // the message is the server's
	}
}

func attrs(tags []tag.Tag) []slog.Attr {
	attrs := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attrs[i] = slog.Any(t.Key(), t.Value())
	}
	return attrs
}

// describe is msg with the error among the tags, if there is one.
func describe(msg string, tags []tag.Tag) string {
	for _, t := range tags {
		if t.Key() == "error" {
			return fmt.Sprintf("%s: %v", msg, t.Value())
		}
	}
	return msg
}

// gate keeps records back until it is opened. Its zero value is shut.
type gate struct {
	mu     sync.Mutex
	opened bool
	held   []func()
}

// open drops what was kept back and lets everything pass from now on.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened, g.held = true, nil
}

// shut keeps records back again.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = false
}

// flush writes what was kept back, which may hold the cause of a failed
// start, and stays shut for the stop that follows.
func (g *gate) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, write := range g.held {
		write()
	}
	g.held = nil
}

// maxHeld bounds what the gate keeps; the first records tell the cause.
const maxHeld = 100

// hold reports whether the gate is shut, and keeps write if so.
func (g *gate) hold(write func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened {
		return false
	}
	if len(g.held) < maxHeld {
		g.held = append(g.held, write)
	}
	return true
}

// gatedHandler is a handler behind a gate.
type gatedHandler struct {
	slog.Handler
	gate *gate
}

func (h gatedHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.gate.hold(func() { _ = h.Handler.Handle(ctx, r.Clone()) }) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h gatedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return gatedHandler{h.Handler.WithAttrs(attrs), h.gate}
}

func (h gatedHandler) WithGroup(name string) slog.Handler {
	return gatedHandler{h.Handler.WithGroup(name), h.gate}
}
