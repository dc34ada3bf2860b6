package harness

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
)

// patience is the time that a test waits for a state. It bounds a test that has
// gone wrong and is no measure of how fast anything is: it is many times what
// the slowest state takes, on a machine that is busy with other work, too.
const patience = 3 * time.Minute

// Eventually polls until the condition holds, less often the longer it takes,
// because each look costs the server that is looked at. It fails the test after
// three minutes.
func Eventually(t require.TestingT, what string, condition func() bool) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	const longest = 300 * time.Millisecond
	deadline := time.After(patience)
	for pause := 10 * time.Millisecond; !condition(); pause = min(pause*3/2, longest) {
		select {
		case <-deadline:
			require.FailNow(t, "not within "+patience.String()+": "+what)
		case <-time.After(pause):
		}
	}
}

// TestProcess is a process that belongs to a test.
type TestProcess struct {
	*Process
	Output *Output
	t      testing.TB
}

// Run starts a program, with just these variables, until the test ends. If the
// test has failed by then, what the program printed is shown. A data race that
// the program has reported fails the test.
func Run(t testing.TB, vars []string, program string, args ...string) *TestProcess {
	t.Helper()
	p := &TestProcess{Output: &Output{}, t: t}
	var err error
	p.Process, err = Start(Command{Program: program, Args: args, Vars: vars, Out: p.Output})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = p.Stop(syscall.SIGTERM) // how it ends is for the test to say
		show(t, p.Output, program, args...)
	})
	return p
}

// Stop sends the signal and waits for the exit, whose error it returns. A
// process that does not end fails the test.
func (p *TestProcess) Stop(sig syscall.Signal) error {
	err := p.Process.Stop(sig)
	if errors.Is(err, ErrKilled) {
		p.t.Errorf("%v", err)
	}
	return err
}

// show shows what a process printed where the test has failed, and fails the
// test for a data race.
func show(t testing.TB, output *Output, program string, args ...string) {
	if strings.Contains(output.String(), "WARNING: DATA RACE") {
		t.Errorf("%s %v has a data race", program, args)
	}
	if t.Failed() {
		t.Logf("%s %v printed:\n%s", filepath.Base(program), args, output)
	}
}

// StartTemporal runs a dev server until the test ends, and waits until it
// answers. The test may kill it and start it again.
func StartTemporal(t testing.TB, d DevServer) *TestTemporal {
	t.Helper()
	output := &Output{}
	d.Out = output
	server, err := d.New(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		server.Kill()
		show(t, output, d.Program)
	})
	s := &TestTemporal{Temporal: server, t: t}
	s.Start()
	return s
}

// TestTemporal is a dev server that belongs to a test.
type TestTemporal struct {
	*Temporal
	t testing.TB
}

// Start starts the server, also after Kill, and waits until it answers.
func (s *TestTemporal) Start() {
	s.t.Helper()
	require.NoError(s.t, s.Temporal.Start())
	require.NoError(s.t, s.Await(s.t.Context()))
}

// Client returns an SDK client for the namespace, "" for the default one.
func (s *TestTemporal) Client(namespace string) client.Client {
	return Dial(s.t, client.Options{HostPort: s.Address, Namespace: namespace})
}

// Dial returns an SDK client that logs nothing, until the test ends.
func Dial(t testing.TB, o client.Options) client.Client {
	t.Helper()
	o.Logger = Quiet{}
	var c client.Client
	Eventually(t, "a client reaches Temporal", func() bool { // a busy one may not answer the first time
		var err error
		c, err = client.DialContext(t.Context(), o)
		return err == nil
	})
	t.Cleanup(c.Close)
	return c
}

// TestAddress returns an address on this machine that nothing listens on.
func TestAddress(t testing.TB) string {
	t.Helper()
	address, err := FreeAddress(t.Context())
	require.NoError(t, err)
	return address
}

// Reachable reports whether something accepts connections at the address.
func Reachable(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// PostgresURL returns the URL of the PostgreSQL that .ci/run starts. Elsewhere a
// test that needs it is skipped without it.
func PostgresURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("HOOKYARD_TEST_POSTGRES")
	if url == "" {
		require.Empty(t, os.Getenv("CI"), "HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
		t.Skip("HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
	}
	return url
}
