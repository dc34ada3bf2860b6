package tests

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/hookyard/hookyard/chaos/cluster"
)

// process is a program that a test runs. What it prints is shown if the test
// fails.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
	err    error // of the exit, once exited is closed
}

// output is a buffer that may be read while a process writes to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs a program in a process group of its own, with just these
// variables, until the test ends.
func start(t *testing.T, vars []string, program string, args ...string) *process {
	p := &process{t: t, output: &output{}, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, vars...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.stop(syscall.SIGTERM) // how it ends is for the test to say
		if strings.Contains(p.output.String(), "WARNING: DATA RACE") {
			t.Errorf("%v has a data race", args)
		}
		if t.Failed() {
			t.Logf("%v printed:\n%s", args, p.output)
		}
	})
	return p
}

// stop sends the signal and waits for the exit, which it returns.
func (p *process) stop(sig syscall.Signal) error {
	_ = p.cmd.Process.Signal(sig) // an error means that it is gone
	select {
	case <-p.exited:
	case <-time.After(60 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
		p.t.Errorf("%v did not stop within 60s of %s", p.cmd.Args, sig)
	}
	return p.err
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			require.Fail(t, "not within 60s: "+what)
		case <-tick.C:
		}
	}
}

// freeAddress returns a loopback address that nothing listens on, and that no
// connection is given as its own end.
func freeAddress(t *testing.T) string {
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	return address
}

// temporal is a dev server.
type temporal struct {
	*process
	t       *testing.T
	address string
	ui      string
	file    string // empty for one in memory
}

// startTemporal runs a dev server, on a file if one is given.
func startTemporal(t *testing.T, file string) *temporal {
	s := &temporal{t: t, address: freeAddress(t), ui: freeAddress(t), file: file}
	s.start()
	return s
}

// start starts it, again after a stop, on the address and file it had.
func (s *temporal) start() {
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(s.t, err)
	_, uiPort, err := net.SplitHostPort(s.ui)
	require.NoError(s.t, err)
	args := []string{"server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--ui-port", uiPort}
	if s.file != "" {
		args = append(args, "--db-filename", s.file)
	}
	s.process = start(s.t, nil, devServer, args...)
	eventually(s.t, "the dev server answers", func() bool {
		c, err := client.DialContext(s.t.Context(), client.Options{HostPort: s.address, Logger: quiet()})
		if err == nil {
			c.Close()
		}
		return err == nil && get(s.t, "http://"+s.ui+"/") == http.StatusOK
	})
}

// client returns an SDK client.
func (s *temporal) client() client.Client {
	c, err := client.DialContext(s.t.Context(), client.Options{HostPort: s.address, Logger: quiet()})
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

// quiet is a logger for clients whose failures the test sees itself.
func quiet() log.Logger { return nothing{} }

type nothing struct{}

func (nothing) Debug(string, ...any) {}
func (nothing) Info(string, ...any)  {}
func (nothing) Warn(string, ...any)  {}
func (nothing) Error(string, ...any) {}

// reachable reports whether something takes connections at the address.
func reachable(t *testing.T, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// get returns the status of a GET, 0 where nothing answers.
func get(t *testing.T, url string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func port(t *testing.T, address string) int {
	_, text, err := net.SplitHostPort(address)
	require.NoError(t, err)
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// acceptEverything runs a service that answers 200 and returns its URL.
func acceptEverything(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	return s.URL
}
