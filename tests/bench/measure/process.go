package measure

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hookyard/hookyard/tests/harness"
)

const startWithin = 60 * time.Second

// process is a program that is measured.
type process struct {
	*harness.Process
	name string
	log  string // file
}

func (s *session) path(name string) string { return filepath.Join(s.Folder, name) }

// start runs a program until the part is over. What it prints goes to a file,
// as a service's log does.
func (s *session) start(name, program string, args ...string) (*process, error) {
	p := &process{name: name, log: s.path(name + ".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	p.Process, err = harness.Start(harness.Command{Program: program, Args: args, Vars: s.Vars, Out: log})
	if err != nil {
		return nil, err
	}
	s.stop = append(s.stop, func() { _ = p.Stop(syscall.SIGINT) }) // its log says how it ended
	return p, nil
}

// listening starts a program that listens, and waits until it does.
func (s *session) listening(ctx context.Context, name, address, program string, args ...string) (*process, error) {
	p, err := s.start(name, program, args...)
	if err != nil {
		return nil, err
	}
	return p, eventually(ctx, startWithin, 20*time.Millisecond, name+" listens", func(ctx context.Context) (bool, error) {
		if p.Gone() {
			return false, fmt.Errorf("%s has ended: %s", name, p.lastWords())
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

// stopAll ends the processes, the last one first.
func (s *session) stopAll() {
	for _, stop := range slices.Backward(s.stop) {
		stop()
	}
	s.stop = nil
}
