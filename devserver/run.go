package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"
)

// readyWithin bounds the wait for a started server. It takes about half a
// second on an idle machine; a crowded one gets room.
const readyWithin = time.Minute

// run does what the command line says. It returns nil after help, after the
// version, and after a server that ran until ctx ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		_, err = io.WriteString(stdout, usage())
		return err
	case err != nil:
		return err
	case opts.version:
		_, err = fmt.Fprintln(stdout, version())
		return err
	}
	return serve(ctx, opts, stdout, stderr)
}

// serve runs Temporal and the Web UI until ctx ends or the server gives up,
// and returns once both have stopped.
func serve(ctx context.Context, opts options, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	addrs, held, err := reserveAll(opts)
	if err != nil {
		return err
	}
	defer held.release()
	if opts.dbFilename != "" {
		if err := prepareFile(ctx, opts.dbFilename); err != nil {
			return err
		}
	}
	for _, warning := range opts.warnings {
		fmt.Fprintln(stderr, "devserver: warning:", warning)
	}

	gate := &gate{}
	logger := newLogger(stderr, opts, gate, cancel)

	temporal, err := startTemporal(opts, addrs, logger)
	if err != nil {
		gate.flush()
		return fmt.Errorf("start temporal: %w", err)
	}
	defer temporal.stop()
	if !opts.headless {
		ui := startUI(opts, addrs)
		defer ui.stop()
	}

	starting, done := context.WithTimeout(ctx, readyWithin)
	defer done()
	if err := ready(starting, opts, addrs); err != nil {
		if ctx.Err() != nil {
			return stopped(ctx)
		}
		if starting.Err() != nil {
			gate.flush()
		}
		return fmt.Errorf("temporal started but is not usable: %w", err)
	}
	held.release()
	gate.open()
	announce(stdout, opts, addrs)

	<-ctx.Done()
	gate.shut()
	return stopped(ctx)
}

// stopped says why ctx ended: nil when it was asked to, the server's own
// reason when it could not go on.
func stopped(ctx context.Context) error {
	if fatal, ok := errors.AsType[fatalError](context.Cause(ctx)); ok {
		return fatal
	}
	return nil
}

// announce prints where things are, in the words of Temporal's own server.
func announce(w io.Writer, opts options, addrs addresses) {
	line := func(name, value string) { fmt.Fprintf(w, "%-21s %s\n", name+":", value) }
	persistence := "in-memory"
	if opts.dbFilename != "" {
		persistence = opts.dbFilename
	}
	fmt.Fprintln(w, version())
	line("Temporal Server", addrs.frontend.String())
	line("Temporal Persistence", persistence)
	if opts.httpPort != 0 {
		line("Temporal HTTP", addrs.http.String())
	}
	if !opts.headless {
		line("Temporal UI", "http://"+dialable(addrs.ui).String())
	}
	line("Temporal Metrics", "http://"+dialable(addrs.metrics).String()+"/metrics")
}
