//go:build !race

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program under test, with all that it prints.
type process struct {
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
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

// start runs a program with just these variables. Whoever starts it stops it.
func start(t require.TestingT, vars []string, program string, args ...string) *process {
	p := &process{output: &output{}, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, vars...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the tests to pass on
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ends says nothing: most are killed
		close(p.exited)
	}()
	return p
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // an error means that it is gone
	<-p.exited
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// logged returns the first line of the process's log with the message, or nil.
func (p *process) logged(message string) map[string]any {
	for text := range strings.Lines(p.output.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			return line
		}
	}
	return nil
}

// patience is how long a state is waited for. The longest wait that is right
// is for Temporal to give up on a worker that was killed: some 15 s.
const patience = 60 * time.Second

// eventually polls until the condition holds.
func eventually(t require.TestingT, what string, condition func() bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			require.FailNow(t, "not within "+patience.String()+": "+what)
		case <-tick.C:
		}
	}
}
