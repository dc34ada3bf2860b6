package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// Host is the only address that anything here listens on.
const Host = "127.0.0.1"

// Temporal is a Temporal server that can be killed at any moment and started
// again, on the address and the data it had. It asks nobody who they are.
type Temporal struct {
	*Supervised
	// Address is the frontend's, "host:port". It never changes.
	Address string
	// UI is the Web UI's, "host:port"; "" where there is none.
	UI string
	// On names what the server keeps its state in.
	On string

	drop func(ctx context.Context) error
}

// Drop removes the databases that the server used on a database server. The
// process must have been stopped.
func (t *Temporal) Drop(ctx context.Context) error {
	if t.drop == nil {
		return nil
	}
	return t.drop(ctx)
}

// DevServer says how a dev server is run.
type DevServer struct {
	// Program takes the command line of `temporal server start-dev`.
	Program string
	// File is an SQLite file for its state. Without one the state is in
	// memory, and is lost when the server ends.
	File string
	// UI has it serve the Web UI.
	UI bool
	// Args are further flags.
	Args []string
	// Out takes what it prints.
	Out io.Writer
}

// New returns a dev server that is not started yet.
func (d DevServer) New(ctx context.Context) (*Temporal, error) {
	addresses, err := freeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	t := &Temporal{Address: addresses[0], On: "memory"}
	args := []string{"server", "start-dev", "--ip", Host, "--port", Port(t.Address)}
	if d.UI {
		t.UI = addresses[1]
		args = append(args, "--ui-port", Port(t.UI))
	} else {
		args = append(args, "--headless")
	}
	if d.File != "" {
		t.On = "SQLite"
		args = append(args, "--db-filename", d.File)
	}
	t.Supervised = Supervise(Command{Program: d.Program, Args: append(args, d.Args...), Out: d.Out})
	return t, nil
}

// Await waits until the server and its Web UI answer, for two minutes at most.
func (t *Temporal) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var last error
	for {
		if last = t.answers(ctx); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no Temporal answers at %s: %w", t.Address, errors.Join(ctx.Err(), last, errors.Join(t.Ended()...)))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (t *Temporal) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: t.Address, Logger: Quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.CheckHealth(ctx, nil); err != nil || t.UI == "" {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.UI+"/", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the Web UI answers %s", resp.Status)
	}
	return nil
}

// Port returns the port of "host:port".
func Port(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return port
}

// Quiet is a logger for Temporal clients of a server that goes away on purpose:
// their caller sees each error itself.
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
