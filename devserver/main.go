// Command devserver is a Temporal server with its Web UI in one process, for
// development and for tests. It takes the command line of Temporal's own
// "temporal server start-dev", so either can stand in for the other.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends ctx and gives signals back their default effect,
	// so that a second one ends a process that is slow to stop.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}
