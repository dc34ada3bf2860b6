package measure

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hookyard/hookyard/tests/harness"
)

// stepTimeout is the declared timeout of the step that the Workflows have, in
// Hookyard's config and in the plain Workflow. It is short, as that of most
// steps: Hookyard makes use of it.
const stepTimeout = 5 * time.Second

// hookyardConfig is what the measured Hookyard runs on. What it does not say
// is as every operator has it.
const hookyardConfig = `listen: %s
admin: 127.0.0.1:0
temporal: {task_queue: %s}
sources: {%s: {provider: stripe, secrets: [file:secret], routes: [{type: "invoice.*"}, {type: "*", ignore: true}]}}
retry: {default: {timeout: %s}}
app: {ledger: {sqlite: %s}}
`

// contestant is one thing that is measured.
type contestant struct {
	name    string // in the report
	id      string // in Workflow Ids, Task Queues and files
	url     string
	process []*process // whose CPU counts: none for what runs in this process
	send    sendFunc
	close   func()
}

func (s *session) taskQueue(id string) string { return "hookyard-bench-" + s.token + "-" + id }

// hookyard starts Hookyard itself: as one process or, given what each is to
// run alone, as several. The first one is the edge.
func (s *session) hookyard(ctx context.Context, name, id, taskQueue string, only ...string) (*contestant, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	file := s.path(id + ".yaml")
	text := fmt.Sprintf(hookyardConfig, address, taskQueue, id, stepTimeout, id+".db")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	edge, err := s.listening(ctx, id, address, s.Program, append([]string{"serve", "--config", file}, firstOnly(only)...)...)
	if err != nil {
		return nil, err
	}
	c := s.contestant(name, id, "http://"+address+"/webhooks/"+id, edge)
	for _, part := range only[min(1, len(only)):] {
		p, err := s.start(id+"-"+part, s.Program, "serve", "--config", file, "--only", part)
		if err != nil {
			return nil, err
		}
		c.process = append(c.process, p)
	}
	return c, nil
}

func firstOnly(only []string) []string {
	if len(only) == 0 {
		return nil
	}
	return []string{"--only", only[0]}
}

// peer starts a Peer as a process that listens.
func (s *session) peer(ctx context.Context, name, id string, args ...string) (*contestant, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.listening(ctx, id, address, s.Peer[0], slices.Concat(s.Peer[1:], []string{"--listen", address, "--source", id}, args)...)
	if err != nil {
		return nil, err
	}
	return s.contestant(name, id, "http://"+address+"/", p), nil
}

func (s *session) contestant(name, id, url string, p *process) *contestant {
	send, closeIdle := poster(url, maxSenders)
	return &contestant{name: name, id: id, url: url, process: []*process{p}, send: send, close: closeIdle}
}

// onWire has the contestant be sent to with as little CPU as possible.
func (c *contestant) onWire() *contestant {
	w := c.wire(patience)
	c.close = w.close
	c.send = func(ctx context.Context, d delivery) error {
		r, err := w.post(ctx, d)
		if err == nil && !r.taken() {
			err = fmt.Errorf("answered %d", r.status)
		}
		return err
	}
	return c
}

func (c *contestant) wire(patience time.Duration) *wire {
	address, path, _ := strings.Cut(strings.TrimPrefix(c.url, "http://"), "/")
	return &wire{address: address, path: "/" + path, patience: patience}
}

// maxSenders bounds the deliveries at once, and so the connections kept.
const maxSenders = 1024

// used is what the contestant's processes have used.
func (c *contestant) used() usage {
	if len(c.process) == 0 {
		return usageOf(os.Getpid())
	}
	var sum usage
	for _, p := range c.process {
		u := p.usage()
		sum.cpu += u.cpu
		sum.bytes += u.bytes
		sum.rss += u.rss
		sum.peak += u.peak
	}
	return sum
}
