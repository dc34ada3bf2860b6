package dev

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/internal/command"
)

// temporalProcess is the Temporal that dev runs on.
type temporalProcess struct {
	options client.Options
	builder devServer
	home    command.Folders
	dev     devOptions
	output  io.Writer

	process *started // nil where a Temporal was there before
}

// start makes sure that a Temporal answers at the configured address: the one
// that does already, or one it starts and stop ends.
func (t *temporalProcess) start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(t.options.HostPort)
	if err != nil {
		return fmt.Errorf("temporal address %q: %w", t.options.HostPort, err)
	}
	if alive(ctx, t.options) {
		return nil
	}
	if !command.Loopback(host) {
		return fmt.Errorf("no Temporal answers at %s, and dev starts one on this machine only; unset TEMPORAL_ADDRESS to have it started", t.options.HostPort)
	}
	if err := free(ctx, host, port, "--temporal-port"); err != nil {
		return err
	}
	if err := free(ctx, host, strconv.Itoa(t.dev.uiPort), "--ui-port"); err != nil {
		return err
	}
	cmd, err := t.command(ctx, host, port)
	if err != nil {
		return err
	}
	return t.run(ctx, cmd)
}

// command is `temporal server start-dev`, by the temporal CLI or by its
// stand-in. Each has a database of its own: their schemas need not be the same.
func (t *temporalProcess) command(ctx context.Context, host, port string) (*exec.Cmd, error) {
	program, database := "", "temporal-cli.db"
	if found, err := exec.LookPath("temporal"); err == nil {
		program = found
	} else {
		if program, err = t.builder.path(ctx); err != nil {
			return nil, err
		}
		database = "temporal.db"
	}
	args := []string{
		"server", "start-dev",
		"--ip", host, "--port", port, "--ui-port", strconv.Itoa(t.dev.uiPort),
		"--namespace", t.options.Namespace,
		"--log-level", "error",
		"--dynamic-config-value", "frontend.enableServerVersionCheck=false",
		// What setup creates can be used at once, and ids are held to the
		// length that a server on PostgreSQL takes.
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true",
		"--dynamic-config-value", "limit.maxIDLength=255",
	}
	if !t.dev.ephemeral {
		file := t.dev.dbFilename
		if file == "" {
			file = filepath.Join(t.home.State, database)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, fmt.Errorf("temporal's state: %w", err)
		}
		args = append(args, "--db-filename", file)
	}
	cmd := exec.Command(program, args...) //nolint:noctx // stopped below, by a signal and in its turn
	cmd.Stderr = t.output
	return cmd, nil
}

// run starts the process and waits until it answers.
func (t *temporalProcess) run(ctx context.Context, cmd *exec.Cmd) error {
	process, err := start(cmd)
	if err != nil {
		return err
	}
	t.process = process
	limit := time.After(60 * time.Second)
	for !alive(ctx, t.options) || !answers(ctx, net.JoinHostPort(command.DefaultHost, strconv.Itoa(t.dev.uiPort))) {
		select {
		case <-process.exited:
			return fmt.Errorf("%s ended before it answered (%w); what it said stands above", filepath.Base(cmd.Path), process.err)
		case <-ctx.Done():
			t.stop()
			return ctx.Err()
		case <-limit:
			t.stop()
			return fmt.Errorf("%s does not answer at %s after 60s; run it by hand to see why: %s", filepath.Base(cmd.Path), t.options.HostPort, strings.Join(cmd.Args, " "))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// watch calls end if the process ends before ctx does. Its stop waits for it.
func (t *temporalProcess) watch(ctx context.Context, end context.CancelCauseFunc) (stop func()) {
	if t.process == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-t.process.exited:
			end(fmt.Errorf("the Temporal that dev had started has ended (%w)", t.process.err))
		case <-ctx.Done():
		}
	}()
	return func() {
		cancel()
		<-stopped
	}
}

// stop ends the Temporal that start has started.
func (t *temporalProcess) stop() {
	if t.process != nil {
		t.process.stop(15 * time.Second)
	}
}

// answers reports whether something takes connections at the address.
func answers(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// free reports a port that something else has.
func free(ctx context.Context, host, port, flag string) error {
	l, err := command.Listen(ctx, net.JoinHostPort(host, port), flag)
	if err != nil {
		return err
	}
	return l.Close()
}
