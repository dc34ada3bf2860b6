package dev

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// started is a process that dev has started and has to stop.
type started struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	err    error         // of its end; never nil once exited is closed
}

// start starts a process in a group of its own, so that a Ctrl-C at the terminal
// does not reach it.
func start(cmd *exec.Cmd) (*started, error) {
	ownGroup(cmd)
	s := &started{cmd: cmd, exited: make(chan struct{})}
	running := make(chan error, 1)
	go s.run(running)
	if err := <-running; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return s, nil
}

// run starts the process and waits for its end. It keeps to one thread, because
// on Linux the process is told of the death of the thread that started it.
func (s *started) run(running chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.exited)
	err := s.cmd.Start()
	running <- err
	if err == nil {
		if s.err = s.cmd.Wait(); s.err == nil {
			s.err = errors.New("exit status 0")
		}
	}
}

// stop asks the process to end and, if it has not after so long, ends it.
func (s *started) stop(within time.Duration) {
	_ = interrupt(s.cmd.Process) // an error means that it has ended
	select {
	case <-s.exited:
	case <-time.After(within):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}
