package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// site is where a scenario plays: a receiver that is running, with everything
// around it. Nobody else has a part in it but for the Temporal.
type site struct {
	v   *verdict
	ctx context.Context // ends with the test

	receiver   receiver
	dir        string // of the config and the ledger
	vars       []string
	workerVars []string
	name       string // of the Task Queue, and of the Stripe source
	temporal   *temporal
	gate       *gate // between the edge and Temporal
	downstream *downstream
	mailbox    *peers.MailServer
	sender     *http.Client

	edge, worker *process
	address      string // of the edge
	past         []*process
}

// acme is the name of the source that takes Standard Webhooks.
func (s *site) acme() string { return s.name + "-acme" }

// newSite starts a receiver, until the test ends.
func newSite(t *testing.T, r receiver, on *temporal) *site {
	s := &site{
		v: &verdict{}, ctx: t.Context(),
		receiver: r, dir: t.TempDir(), name: "s" + strings.ToLower(rand.Text()[:12]),
		temporal: on, gate: openGate(t, on.Address), downstream: startDownstream(t), mailbox: peers.NewMailServer(t, nil), sender: &http.Client{Transport: &http.Transport{}},
	}
	vars := []string{"HOME=" + s.dir, "SECRET=" + secret, "SMTP=" + s.mailbox.URL + "?tls=none"}
	s.vars = append(slices.Clip(vars), "TEMPORAL_ADDRESS="+s.gate.address)
	s.workerVars = append(slices.Clip(vars), "TEMPORAL_ADDRESS="+on.Address)
	require.NoError(t, os.WriteFile(s.config(), []byte(fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
temporal: {task_queue: %[1]s}
sources:
  %[1]s: {provider: stripe, secrets: [env:SECRET], max_body: 64KiB, journal: %[3]t, routes: [{type: invoice.paid}, {type: "*", forward: {url: %[2]q, secret: env:SECRET}}]}
  %[1]s-acme: {provider: standard-webhooks, secrets: [env:SECRET], journal: %[3]t, routes: [{type: "*", forward: {url: %[2]q}}]}
app: {ledger: {sqlite: ledger.db}, mail: {smtp: env:SMTP, from: shop@example.com}}
retry: {default: {initial: 1s, backoff: 1, attempts: 30, timeout: 4s}}
log: {mask: [json:note, json:data.object.amount_paid]}
`, s.name, s.downstream.url, r.journal)), 0o600))
	t.Cleanup(func() {
		s.crash()
		if t.Failed() {
			t.Logf("the receiver printed:\n%s", s.logs())
		}
	})
	s.boot(t)
	return s
}

func (s *site) config() string { return filepath.Join(s.dir, "hookyard.yaml") }

// boot starts what the receiver runs and waits until it takes deliveries and
// works on them.
func (s *site) boot(t require.TestingT) {
	s.edge = s.start(t, s.vars, s.receiver.edge)
	s.worker = s.edge
	if len(s.receiver.worker) > 0 {
		s.worker = s.start(t, s.workerVars, s.receiver.worker)
	}
	edge := s.line(t, s.edge, "edge started")
	s.line(t, s.worker, "worker started")
	s.address, _ = edge["listen"].(string)
	require.NotEmpty(t, s.address, "the edge does not log the address it listens on: %v", edge)
}

func (s *site) start(t require.TestingT, vars, command []string) *process {
	p := start(t, vars, command[0], append(slices.Clip(command[1:]), "--config="+s.config())...)
	s.past = append(s.past, p)
	return p
}

// line waits for a line of the process's log.
func (s *site) line(t require.TestingT, p *process, message string) (found map[string]any) {
	harness.Eventually(t, message, func() bool {
		require.False(t, p.Gone(), "%v ended:\n%s", p.command, p.output)
		found = p.logged(message)
		return found != nil
	})
	return found
}

// crash kills everything that the receiver runs.
func (s *site) crash() {
	for _, p := range s.past {
		p.Kill()
	}
	s.sender.CloseIdleConnections() // they lead to what was killed
}

// restart has the receiver crash and come back.
func (s *site) restart() {
	s.crash()
	s.boot(s.v)
}

// logs returns all that the receiver printed, before crashes and after.
func (s *site) logs() string {
	var all strings.Builder
	for _, p := range s.past {
		all.WriteString(p.output.String())
	}
	return all.String()
}
