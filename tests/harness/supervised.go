package harness

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// restartPause is the time between the end of a program and its next start.
const restartPause = 500 * time.Millisecond

// Supervised is a program under a supervisor, as service managers are: it is
// started again when it ends by itself, and stays down after Kill until the
// next Start. Its methods may be called from several goroutines.
type Supervised struct {
	command Command

	mu    sync.Mutex
	watch *watch // nil while the program is to be down
	ended []error
}

// watch is the time from a Start to the Kill that follows.
type watch struct {
	quit chan struct{} // closed by Kill
	done chan struct{} // closed when the supervisor has returned

	mu      sync.Mutex
	running *Process // nil between two starts
}

// Supervise returns a program that is not started yet.
func Supervise(c Command) *Supervised { return &Supervised{command: c} }

// Start starts the program. It returns an error if that is not possible, and
// does nothing if the program runs already.
func (s *Supervised) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != nil {
		return nil
	}
	first, err := Start(s.command)
	if err != nil {
		return err
	}
	s.watch = &watch{quit: make(chan struct{}), done: make(chan struct{}), running: first}
	go s.supervise(s.watch, first)
	return nil
}

// supervise starts the program again each time that it ends, until Kill.
func (s *Supervised) supervise(w *watch, p *Process) {
	defer close(w.done)
	for {
		if p != nil {
			s.note(p.Wait(), w)
		}
		w.set(nil)
		select {
		case <-w.quit:
			return
		case <-time.After(restartPause):
		}
		var err error
		if p, err = w.start(s.command); err != nil {
			s.note(err, w)
		}
	}
}

// start starts the program, unless Kill was called before.
func (w *watch) start(c Command) (*Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.quit:
		return nil, nil
	default:
	}
	p, err := Start(c)
	w.running = p
	return p, err
}

func (w *watch) set(p *Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = p
}

// note keeps how the program ended, unless Kill ended it.
func (s *Supervised) note(err error, w *watch) {
	select {
	case <-w.quit:
		return
	default:
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, fmt.Errorf("ended by itself: %w", err))
}

// Kill ends the program as a power cut would, with SIGKILL, and waits until it
// is gone.
func (s *Supervised) Kill() {
	s.mu.Lock()
	w := s.watch
	s.watch = nil
	s.mu.Unlock()
	if w == nil {
		return
	}
	w.mu.Lock()
	close(w.quit)
	if w.running != nil {
		w.running.Kill()
	}
	w.mu.Unlock()
	<-w.done
}

// PID is the process id, 0 while the program does not run.
func (s *Supervised) PID() int {
	s.mu.Lock()
	w := s.watch
	s.mu.Unlock()
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil || w.running.Gone() {
		return 0
	}
	return w.running.PID()
}

// Ended lists each time that the program ended by itself.
func (s *Supervised) Ended() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.ended...)
}
