// Package cluster runs a Temporal server as a process of its own: the dev
// server on a SQLite file, or the official server on PostgreSQL. Whoever
// started one can kill it at any moment and start it again, on the address and
// the data it had.
//
// It is for tests and measurements. Nobody is asked who they are, and nothing
// listens beyond 127.0.0.1.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// Host is the only address that anything here listens on.
const Host = "127.0.0.1"

// Temporal is a Temporal server.
type Temporal struct {
	*Process
	// Address is that of the frontend, "host:port". It never changes.
	Address string
	// On says what the server keeps its state in.
	On string

	drop func(ctx context.Context) error
}

// Drop removes what the server kept outside of its folder: its databases. The
// process must have been stopped.
func (t *Temporal) Drop(ctx context.Context) error {
	if t.drop == nil {
		return nil
	}
	return t.drop(ctx)
}

// NewDevServer returns a dev server, not yet started, that keeps its state in
// a SQLite file in the folder. The program takes the command line of `temporal
// server start-dev`; what it says goes to out.
func NewDevServer(ctx context.Context, program, folder string, out io.Writer) (*Temporal, error) {
	address, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return &Temporal{
		Process: NewProcess(program, []string{
			"server", "start-dev", "--headless", "--ip", Host, "--port", port,
			"--db-filename", filepath.Join(folder, "temporal.db"),
		}, nil, out),
		Address: address,
		On:      "SQLite",
	}, nil
}

// Await waits until the server answers, for a minute at most.
func (t *Temporal) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last error
	for {
		if last = answers(ctx, t.Address); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no Temporal answers at %s: %w", t.Address, errors.Join(ctx.Err(), last))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: Quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.CheckHealth(ctx, nil)
	return err
}

// Quiet is a Temporal SDK logger for clients of a server that goes away on
// purpose: their caller sees each error itself.
type Quiet struct{}

var _ log.Logger = Quiet{}

// Debug implements log.Logger.
func (Quiet) Debug(string, ...any) {}

// Info implements log.Logger.
func (Quiet) Info(string, ...any) {}

// Warn implements log.Logger.
func (Quiet) Warn(string, ...any) {}

// Error implements log.Logger.
func (Quiet) Error(string, ...any) {}
