package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

// readyText is the last line that a ready server prints.
const readyText = "Temporal Metrics:"

// output collects what a server prints and can be waited on.
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

// address returns what the server printed after name.
func (o *output) address(t *testing.T, name string) string {
	t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(name) + `:\s+(\S+)`).FindStringSubmatch(o.String())
	require.NotNil(t, found, "no %q in %s", name, o.String())
	return found[1]
}

func (o *output) waitReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(o.String(), readyText) }, time.Minute, 10*time.Millisecond, "not ready")
}

func dial(t *testing.T, address string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: address})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// get returns the body of a GET that must answer 200.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", url, body)
	return string(body)
}

func TestInMemory(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr output
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, startDev("--port", "0", "-n", "other", "--retention", "48h", "--search-attribute", "HookState=Keyword"), &stdout, &stderr)
	}()
	stdout.waitReady(t)

	// Everything works at once: no step below tries twice.
	c := dial(t, stdout.address(t, "Temporal Server"))
	_, err := c.CheckHealth(t.Context(), nil)
	require.NoError(t, err)
	for _, name := range []string{"default", "other"} {
		described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: name})
		require.NoError(t, err)
		require.Equal(t, 48*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
	}
	start(t, c, "first", temporal.NewSearchAttributeKeyKeyword("HookState").ValueSet("parked"))
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: strings.Repeat("x", 256), TaskQueue: "none"}, "Any")
	require.ErrorContains(t, err, "exceeds", "ids are as long as PostgreSQL takes them")

	ui := stdout.address(t, "Temporal UI")
	require.Contains(t, get(t, ui+"/"), "<html")
	require.Contains(t, get(t, ui+"/api/v1/namespaces"), `"other"`)
	require.Contains(t, get(t, stdout.address(t, "Temporal Metrics")), "service_requests")

	// An idle worker's long poll must not hold up the stop: it is cut, rather
	// than answered after a minute that there is no task.
	polled := make(chan error, 1)
	polling, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the server wants a deadline
	defer cancel()
	go func() {
		_, err := c.WorkflowService().PollWorkflowTaskQueue(polling, &workflowservice.PollWorkflowTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: "idle"}, Identity: "idle",
		})
		polled <- err
	}()
	require.Eventually(t, func() bool {
		described, err := c.DescribeTaskQueue(t.Context(), "idle", enums.TASK_QUEUE_TYPE_WORKFLOW)
		return err == nil && len(described.GetPollers()) == 1
	}, time.Minute, 10*time.Millisecond, "the poll waits")
	stop()
	require.NoError(t, <-done)
	require.Error(t, <-polled)
	require.Empty(t, stderr.String(), "nothing to say at the default level")
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(ui, "http://"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// start starts a Workflow that no Worker runs.
func start(t *testing.T, c client.Client, id string, attributes ...temporal.SearchAttributeUpdate) {
	t.Helper()
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: "none", TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
	}, "Any")
	require.NoError(t, err)
}

// TestBinary builds the program once and tests it as a process of its own.
func TestBinary(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "devserver")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	t.Run("the SDK's test suite starts and stops it", func(t *testing.T) {
		t.Parallel()
		server, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
			ExistingPath: binary, EnableUI: true, LogFormat: "pretty", Stdout: io.Discard, Stderr: io.Discard,
			SearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword("HookState").ValueSet("")),
		})
		require.NoError(t, err)
		address := server.FrontendHostPort()
		_, err = server.Client().CheckHealth(t.Context(), nil)
		require.NoError(t, err)
		server.Client().Close()
		require.NoError(t, server.Stop(), "Stop waits for the process, and reports how it exited")
		_, err = client.Dial(client.Options{HostPort: address, ConnectionOptions: client.ConnectionOptions{GetSystemInfoTimeout: time.Second}})
		require.Error(t, err, "nothing listens any more")
	})

	for _, tt := range []struct {
		name   string
		signal os.Signal
		left   []string // files after the stop
	}{
		{"stopped", syscall.SIGTERM, []string{"t.db"}},
		{"killed", syscall.SIGKILL, []string{"t.db", "t.db-wal"}},
	} {
		t.Run("a file outlives a server that is "+tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "t.db")

			first := launch(t, binary, "-f", path)
			start(t, dial(t, first.address(t, "Temporal Server")), "kept")
			first.end(t, tt.signal)
			require.ElementsMatch(t, tt.left, names(t, filepath.Dir(path)))

			second := launch(t, binary, "-f", path, "--search-attribute", "HookState=Keyword", "--retention", "96h", "-n", "late")
			c := dial(t, second.address(t, "Temporal Server"))
			start(t, c, "uses the new attribute", temporal.NewSearchAttributeKeyKeyword("HookState").ValueSet("parked"))
			_, err := c.DescribeWorkflowExecution(t.Context(), "kept", "")
			require.NoError(t, err)
			for _, name := range []string{"default", "late"} {
				described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: name})
				require.NoError(t, err)
				require.Equal(t, 96*time.Hour, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
			}
			var stderr output
			err = run(t.Context(), startDev("--port", "0", "--headless", "-f", path), io.Discard, &stderr)
			require.ErrorContains(t, err, "is in use by another process")
			second.end(t, syscall.SIGINT)

			third := exec.CommandContext(t.Context(), binary, startDev("--port", "0", "--headless", "-f", path, "--search-attribute", "HookState=Int")...)
			out, err := third.CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), `namespace "default": search attribute "HookState" is already there as Keyword, not as Int`)
		})
	}
}

// process is a devserver that runs.
type process struct {
	output
	command *exec.Cmd
}

// launch starts the binary without the Web UI and waits until it is ready.
func launch(t *testing.T, binary string, flags ...string) *process {
	t.Helper()
	p := &process{}
	p.command = exec.CommandContext(t.Context(), binary, startDev(append([]string{"--port", "0", "--headless"}, flags...)...)...)
	p.command.Stdout, p.command.Stderr = p, p
	require.NoError(t, p.command.Start())
	p.waitReady(t)
	return p
}

// end sends the signal and waits for the process, which must exit 0 unless it
// was killed.
func (p *process) end(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, p.command.Process.Signal(signal))
	if err := p.command.Wait(); signal != syscall.SIGKILL {
		require.NoError(t, err)
		require.NotContains(t, p.String(), "level=", "nothing to say at the default level")
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
