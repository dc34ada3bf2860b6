package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const (
	startWithin = 60 * time.Second
	stopWithin  = 40 * time.Second // longer than a worker waits for its Activities
)

// process is a program that is measured.
type process struct {
	name   string
	log    string // file
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

func (s *session) path(name string) string { return filepath.Join(s.Folder, name) }

// start runs this program with the arguments until the part is over. What it
// prints goes to a file, as a service's log does.
func (s *session) start(name string, args ...string) (*process, error) {
	p := &process{name: name, log: s.path(name + ".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(s.Program, args...) //nolint:noctx,gosec // this program itself; ended by its stop, in its turn
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = s.Vars, log, log
	if s.Prepare != nil {
		s.Prepare(p.cmd)
	}
	started := make(chan error, 1)
	go func() {
		// On Linux a process may be set to end with the thread that has
		// started it, so that thread is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		_ = log.Close() // the process has its own
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // its log says why
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.stop = append(s.stop, func() { p.end(s.Interrupt) })
	return p, nil
}

// listening starts a program that listens, and waits until it does.
func (s *session) listening(ctx context.Context, name, address string, args ...string) (*process, error) {
	p, err := s.start(name, args...)
	if err != nil {
		return nil, err
	}
	return p, eventually(ctx, startWithin, 20*time.Millisecond, name+" listens", func(ctx context.Context) (bool, error) {
		select {
		case <-p.exited:
			return false, fmt.Errorf("%s has ended: %s", name, p.lastWords())
		default:
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
}

// lastWords is the end of the process's log.
func (p *process) lastWords() string {
	said, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	said = bytes.TrimSpace(said)
	return string(said[max(len(said)-2000, 0):])
}

func (p *process) end(interrupt func(*os.Process) error) {
	_ = interrupt(p.cmd.Process) // an error means that it has ended
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// stopAll ends the processes, the last one first.
func (s *session) stopAll() {
	for _, stop := range slices.Backward(s.stop) {
		stop()
	}
	s.stop = nil
}

// freeAddress returns a loopback address that nothing listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), errors.Join(l.Close())
}
