package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// restartPause is how long a program that ended by itself stays away, as under
// a service manager.
const restartPause = 500 * time.Millisecond

// Process is a program that is meant to run. It is started again when it ends
// by itself, and stays down after Kill until the next Start. Its
// methods may be called from several goroutines.
type Process struct {
	program    string
	args, vars []string
	out        io.Writer

	mu    sync.Mutex
	kept  *kept // nil while it is meant to be down
	ended []error
}

// kept is the time from a Start to the Kill that follows.
type kept struct {
	started chan error    // of the first start
	quit    chan struct{} // closed when it is to end
	done    chan struct{} // closed when it has ended

	mu  sync.Mutex
	cmd *exec.Cmd // the one that runs; nil between two
}

// NewProcess returns a process that is not started yet. Besides PATH it has
// just the given variables, "NAME=value". What it prints goes to out.
func NewProcess(program string, args, vars []string, out io.Writer) *Process {
	return &Process{program: program, args: args, vars: append([]string{"PATH=" + os.Getenv("PATH")}, vars...), out: out}
}

// Start starts the program. It is an error if that cannot be started, and none
// if it runs already.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept != nil {
		return nil
	}
	k := &kept{started: make(chan error, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go p.keep(k)
	if err := <-k.started; err != nil {
		<-k.done
		return fmt.Errorf("start %s: %w", filepath.Base(p.program), err)
	}
	p.kept = k
	return nil
}

// keep runs the program until it is to end. It keeps to one thread, because on
// Linux a program is told of the death of the thread that started it.
func (p *Process) keep(k *kept) {
	defer close(k.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for first := true; ; first = false {
		cmd := exec.Command(p.program, p.args...) //nolint:gosec,noctx // the caller's own program, ended by a signal in its turn
		cmd.Env = p.vars
		cmd.Stdout, cmd.Stderr = p.out, p.out
		ownGroup(cmd)
		err := k.start(cmd)
		if first {
			k.started <- err
			if err != nil {
				return
			}
		}
		if err == nil {
			err = cmd.Wait()
		}
		k.set(nil)
		select {
		case <-k.quit:
			return
		default:
		}
		p.note(err)
		select {
		case <-k.quit:
			return
		case <-time.After(restartPause):
		}
	}
}

// start starts the command unless all is to end: who ends it must find it.
func (k *kept) start(cmd *exec.Cmd) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.quit:
		return os.ErrProcessDone
	default:
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	k.cmd = cmd
	return nil
}

func (k *kept) set(cmd *exec.Cmd) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cmd = cmd
}

func (p *Process) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, fmt.Errorf("ended by itself: %w", orExit(err)))
}

// orExit gives an exit with status 0 words.
func orExit(err error) error {
	if err == nil {
		return fmt.Errorf("exit status 0")
	}
	return err
}

// Kill ends the program as a power cut would, with SIGKILL, and waits until it
// is gone.
func (p *Process) Kill() {
	p.mu.Lock()
	k := p.kept
	p.kept = nil
	p.mu.Unlock()
	if k == nil {
		return
	}
	k.mu.Lock()
	close(k.quit)
	if k.cmd != nil {
		_ = k.cmd.Process.Kill() // an error means that it has ended
	}
	k.mu.Unlock()
	<-k.done
}

// PID is the process id, 0 while the program does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	k := p.kept
	p.mu.Unlock()
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cmd == nil {
		return 0
	}
	return k.cmd.Process.Pid
}

// Ended lists how the program ended by itself, each time.
func (p *Process) Ended() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]error(nil), p.ended...)
}
