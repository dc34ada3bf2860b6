package harness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stopWithin is how long a process may take to end after a signal. It is longer
// than a worker waits for its Activities.
const stopWithin = 60 * time.Second

// Command is a program with its arguments.
type Command struct {
	Program string
	Args    []string
	// Vars is the environment, "NAME=value". PATH is this process's own,
	// unless Vars has one.
	Vars []string
	// Out takes standard output and standard error.
	Out io.Writer
}

// Process is a program that was started. Its methods may be called from several
// goroutines.
type Process struct {
	program string
	cmd     *exec.Cmd
	exited  chan struct{}
	err     error // of the exit, once exited is closed
}

// Start starts the command in a process group of its own, so that a Ctrl-C at
// the terminal does not reach it. On Linux it is killed when this process ends,
// however that ends. The caller stops it.
func Start(c Command) (*Process, error) {
	p := &Process{program: filepath.Base(c.Program), exited: make(chan struct{})}
	p.cmd = exec.Command(c.Program, c.Args...) //nolint:gosec,noctx // the caller's own program, which Stop ends
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.Vars...)
	p.cmd.Stdout, p.cmd.Stderr = c.Out, c.Out
	ownGroup(p.cmd)
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.program, err)
	}
	return p, nil
}

// run starts the process and waits for its end. It keeps to one thread, because
// Linux kills the process when the thread that started it ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Wait waits until the process ends. It returns nil for exit status 0.
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}

// ExitCode is the exit status of a process that has ended; -1 for one that a
// signal has ended.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. A process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// ErrKilled is the error of a process that did not end in time after a signal.
var ErrKilled = errors.New("killed, because it did not end")

// Stop sends the signal and waits for the exit, whose error it returns. A
// process that has not ended after a minute is killed, which is ErrKilled.
func (p *Process) Stop(sig syscall.Signal) error {
	if err := p.Signal(sig); err != nil {
		p.Kill()
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopWithin):
		p.Kill()
		return fmt.Errorf("%s: %w within %s of signal %q", p.program, ErrKilled, stopWithin, sig)
	}
}

// Kill ends the process as a power cut would, with SIGKILL, and waits until it
// is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.exited
}
