package operate

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/command"
)

// progress says how far a bulk is: a bar that is drawn over on a terminal,
// else a line now and then.
type progress struct {
	out      io.Writer
	terminal bool
}

func progressOn(out io.Writer) progress { return progress{out: out, terminal: command.IsTerminal(out)} }

// show reports until the returned function is called, which waits for the last
// of it.
func (p progress) show(t *tally) (stop func()) {
	every := 2 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	began := time.Now()
	quit, quitted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quitted)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.print(t, time.Since(began))
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-quitted
		if p.terminal {
			p.print(t, time.Since(began))
			fmt.Fprintln(p.out)
		}
	}
}

func (p progress) print(t *tally, elapsed time.Duration) {
	handled, failed := t.counts()
	line := fmt.Sprintf("%d/%d", handled, t.total)
	if failed > 0 {
		line += ", " + command.Count(failed, "error")
	}
	if handled > 0 && handled < t.total {
		left := elapsed / time.Duration(handled) * time.Duration(t.total-handled)
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	if !p.terminal {
		fmt.Fprintln(p.out, line)
		return
	}
	const width = 30
	full := width * handled / max(t.total, 1)
	// Back to the start of the line, and clear what is longer than the new one.
	fmt.Fprintf(p.out, "\r[%s%s] %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", width-full), line)
}
