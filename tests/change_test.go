package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// load sends deliveries, a few at a time, until it is stopped.
type load struct {
	s       *system
	senders sync.WaitGroup
	stop    context.CancelFunc

	mu       sync.Mutex
	accepted []string // Workflow Ids
	answers  map[int]int
	failed   map[string]error // requests without an answer, by Workflow Id
}

// overloaded is what an edge says of an event that would wait too long to be
// stored. Nothing of it was started.
const overloaded = "more events come than can be stored; send this one again"

// startLoad sends events of stripe, each on a connection of its own, as many
// senders do.
func startLoad(s *system, prefix string) *load {
	ctx, stop := context.WithCancel(s.t.Context())
	l := &load{s: s, stop: stop, answers: map[int]int{}, failed: map[string]error{}}
	for sender := range 4 {
		l.senders.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.send(context.WithoutCancel(ctx), fmt.Sprintf("evt_%s_%d_%d", prefix, sender, n))
			}
		})
	}
	s.t.Cleanup(func() { l.end() })
	return l
}

func (l *load) send(ctx context.Context, id string) {
	d := signed(l.s.t, "stripe", id, "", invoicePaid)
	d.Header.Set("Connection", "close")
	a, err := l.s.tryPost(ctx, "stripe", d.Header, d.Body)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for err == nil && a.status == overloaded { // a busy machine: to be sent again, as providers do
		<-again.C
		a, err = l.s.tryPost(ctx, "stripe", d.Header, d.Body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed["stripe:"+id] = err
		return
	}
	l.answers[a.code]++
	if a.status == "accepted" {
		l.accepted = append(l.accepted, "stripe:"+id)
	}
}

// sent returns how many were accepted so far.
func (l *load) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// more waits until so many more were accepted.
func (l *load) more(n int) {
	l.s.t.Helper()
	want := l.sent() + n
	harness.Eventually(l.s.t, fmt.Sprintf("%d more deliveries are accepted", n), func() bool { return l.sent() >= want })
}

// end stops and waits for the senders.
func (l *load) end() {
	l.stop()
	l.senders.Wait()
}

// logged waits until the log has a line with the text.
func (s *system) logged(text string) {
	s.t.Helper()
	harness.Eventually(s.t, "the log says "+text, func() bool { return strings.Contains(s.Output.String(), text) })
}

func (s *system) hangup() { require.NoError(s.t, s.Signal(syscall.SIGHUP)) }

func (s *system) rewrite(change func(config string) string) {
	config, err := os.ReadFile(s.config())
	require.NoError(s.t, err)
	changed := change(string(config))
	require.NotEqual(s.t, string(config), changed)
	require.NoError(s.t, os.WriteFile(s.config(), []byte(changed), 0o600))
}

// TestReload sends SIGHUP under load: with a secret that has changed and a
// source more, with a broken file, and with one that takes a restart.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: invoice.paid}, {type: "*", keep: true}]}
  rotated: {provider: stripe, secrets: [file:rotated], routes: [{type: invoice.paid}, {type: "*", keep: true}]}
`)
	rotated := filepath.Join(s.dir, "rotated")
	require.NoError(t, os.WriteFile(rotated, []byte("whsec_another one"), 0o600))
	s.serve()
	require.Equal(t, http.StatusUnauthorized, s.deliver("rotated", "evt_1", "", invoicePaid).code)
	require.Equal(t, http.StatusNotFound, s.deliver("added", "evt_1", "", invoicePaid).code)
	l := startLoad(s, "r")
	l.more(20)

	require.NoError(t, os.WriteFile(rotated, []byte(secret+"\n"), 0o600))
	s.rewrite(func(config string) string {
		return strings.Replace(config, "sources:\n", "sources:\n  added: {provider: stripe, secrets: [env:SECRET]}\n", 1)
	})
	s.hangup()
	s.logged("config reloaded")
	l.more(20)
	s.accept("rotated", "stripe", "evt_2", "", invoicePaid)
	s.accept("added", "stripe", "evt_3", "", invoicePaid)

	s.rewrite(func(config string) string {
		return strings.NewReplacer("added: {provider: stripe", "added: {provider: stirpe", "attempts: 3", "attempts: 0").Replace(config)
	})
	s.hangup()
	s.logged(`unknown provider \"stirpe\"`)
	s.logged("0 would retry forever")
	l.more(20)
	s.accept("added", "stripe", "evt_4", "", invoicePaid)

	s.rewrite(func(config string) string {
		return strings.NewReplacer("stirpe", "stripe", "attempts: 0", "attempts: 3", "listen: "+s.address, "listen: 127.0.0.1:1").Replace(config)
	})
	s.hangup()
	s.logged("key=listen")
	l.more(20)
	l.end()
	require.Empty(t, l.failed)
	require.Empty(t, cmp.Diff(map[int]int{http.StatusOK: len(l.accepted)}, l.answers))
}

// TestReloadForward moves the service behind a source while a worker runs, and
// lets its steps be attempted more often.
func TestReloadForward(t *testing.T) {
	t.Parallel()
	broken, service := startBroken(t), acceptEverything(t)
	s := startSystem(t, startTemporal(t, ""), `
sources:
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", forward: {url: "`+broken.URL+`"}}]}
`)
	s.accept("acme", "standard-webhooks", "m1", "", `{"type":"order.created"}`)
	s.parked("acme:m1")
	s.rewrite(func(config string) string { return strings.Replace(config, broken.URL, service, 1) })
	s.hangup()
	s.logged("config reloaded")
	s.run("resume", "acme:m1")
	s.completed("acme:m1")
}

// TestDrainUnderLoad sends SIGTERM under load.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	l := startLoad(s, "d")
	l.more(40)
	require.NoError(t, s.Stop(syscall.SIGTERM))
	l.end()
	require.Empty(t, cmp.Diff(map[int]int{http.StatusOK: len(l.accepted)}, l.answers))
	for id, err := range l.failed {
		// A connection that the kernel had taken and the edge had not is reset
		// when the edge stops listening, and one that was idle is closed, as
		// the next request may be on its way. Nothing of it was read.
		if !errors.Is(err, syscall.ECONNREFUSED) {
			require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF), "%v", err)
			require.Zero(t, s.statusOf(id), "%s was stored without an answer: %v", id, err)
		}
	}
	s.serve()
	for _, id := range l.accepted {
		s.completed(id)
	}
	require.Len(t, s.payments(), len(l.accepted))
}

// TestPause holds a source's events, also those that an edge takes that was
// started meanwhile, and lets them go on.
func TestPause(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource)
	s.accept("stripe", "stripe", "evt_before", "", invoicePaid)
	s.parked("stripe:evt_before")

	require.Contains(t, s.fails("pause", "stirpe", "--why", "a typo", "--config", s.config()), `did you mean "stripe"`)
	require.Contains(t, s.fails("pause", "stripe", "--config", s.config()), "say why")
	require.Contains(t, s.run("pause"), "No source is paused.")
	s.run("pause", "stripe", "--by", "ada", "--why", "the ledger moves", "--config", s.config())
	require.Contains(t, s.run("pause", "stripe", "--why", "again", "--config", s.config()), "paused already")
	s.logged("source paused")

	const events = 20
	for i := range events / 2 {
		s.accept("stripe", "stripe", fmt.Sprintf("evt_%d", i), "", invoicePaid)
	}
	s.restart()
	for i := events / 2; i < events; i++ {
		s.accept("stripe", "stripe", fmt.Sprintf("evt_%d", i), "", invoicePaid)
	}
	harness.Eventually(t, "all are held", func() bool { return s.count(`HookState="held" AND HookParkReason="paused"`) == events })
	require.Empty(t, cmp.Diff([]string{"evt_before"}, s.payments()), "none has begun")
	require.Regexp(t, `stripe +\S+ +20 +ada +the ledger moves`, s.run("pause"))
	require.Contains(t, s.run("parked"), "evt_before")
	require.NotContains(t, s.run("parked", "-o", "wide"), "evt_0", "a held run waits for nobody")
	require.Contains(t, s.run("parked", "--held", "-o", "wide"), "stripe:evt_0")
	require.Contains(t, s.details("stripe:evt_0"), "### Held: source \"stripe\" is paused")
	require.Empty(t, cmp.Diff(map[string]int{event.PauseActivity: 1}, s.scheduled("stripe:evt_0")), "no alert")

	peers.NewMailServerAt(t, s.smtp, nil)
	s.run("resume", "stripe:evt_before")
	s.completed("stripe:evt_before")

	// A held run that asks for itself first is released already.
	require.Regexp(t, `(20 of 20 released|\d+ of 20 released, \d+ already done)\.`, s.run("unpause", "stripe", "--by", "ada", "--rate", "1000"))
	for i := range events {
		s.completed(fmt.Sprintf("stripe:evt_%d", i))
	}
	require.Len(t, s.payments(), events+1)
	require.Contains(t, s.run("unpause", "stripe"), "not paused")
	s.logged("no longer paused")
	s.accept("stripe", "stripe", "evt_after", "", invoicePaid)
	s.completed("stripe:evt_after")
	require.NotContains(t, s.scheduled("stripe:evt_after"), event.PauseActivity)
}

// TestPauseEndsUnseen ends a pause while the runs that it holds have
// not begun: they ask for themselves.
func TestPauseEndsUnseen(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource, "--only", "edge")
	s.run("pause", "stripe", "--why", "a test", "--config", s.config())
	s.logged("source paused")
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	require.NoError(t, s.client.TerminateWorkflow(t.Context(), "hookyard/pause/stripe", "", "by hand, from the Web UI"))
	require.Contains(t, s.run("unpause", "stripe"), "not paused")

	_ = s.Stop(syscall.SIGKILL)
	s.serve()
	s.completed("stripe:evt_1")
}

// orderChanged builds hookyard with a step more in front of a Workflow's
// others.
func orderChanged(t *testing.T) string {
	const file = "workflows/stripe_invoice_paid.go"
	code, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	const before = "\tctx = summarized(ctx,"
	head, tail, found := strings.Cut(string(code), before)
	require.True(t, found)
	program := filepath.Join(t.TempDir(), "hookyard")
	require.NoError(t, harness.Build(t.Context(), program, "-overlay", overlay(t, map[string]string{
		file: head + "\tif err := workflow.Sleep(ctx, time.Second); err != nil {\n\t\treturn err\n\t}\n" + before + tail,
	}), "../cmd/hookyard"))
	return program
}

// TestReplayCommand replays the runs of a namespace, with the code that ran
// them and with code that has another order of steps.
func TestReplayCommand(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource)
	require.Contains(t, s.run("replay"), "nothing to replay")
	for _, id := range []string{"evt_open", "evt_closed"} {
		s.accept("stripe", "stripe", id, "", invoicePaid)
		s.parked("stripe:" + id)
	}
	s.accept("stripe", "stripe", "evt_other", "invoice.created", `{"id":"","type":"invoice.created"}`)
	s.signal("stripe:evt_closed", event.SignalResolve, parking.Resolve{By: "ada", Why: "a test"})
	s.completed("stripe:evt_closed")
	harness.Eventually(t, "it is listed as closed", func() bool { return s.count(`ExecutionStatus="Completed" AND HookSource="stripe"`) >= 1 })
	require.Regexp(t, `(\d) of \d runs replayed\.`, s.run("replay"))

	p := harness.Run(t, s.vars(), orderChanged(t), "replay")
	require.Error(t, p.Wait())
	require.Equal(t, 1, p.ExitCode())
	for _, id := range []string{"stripe:evt_open", "stripe:evt_closed"} {
		require.Contains(t, p.Output.String(), "would break: "+id+" (run ")
	}
	require.NotContains(t, p.Output.String(), "would break: stripe:evt_other")
	require.Contains(t, p.Output.String(), "TMPRL1100", "Temporal's code for non-determinism")

	p = harness.Run(t, s.vars(), orderChanged(t), "replay", "--query", `WorkflowId="stripe:evt_other"`)
	require.NoError(t, p.Wait(), p.Output)
	require.Contains(t, s.fails("replay", "--query", "Nothing = 1"), "Nothing")
}

// TestWorkerVersioning parks a run on one build and has it go on with the
// next, once that is made current.
func TestWorkerVersioning(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), mailedSource)
	s.rewrite(func(config string) string {
		return strings.Replace(config, "temporal: {", "temporal: {versioning: {build_id: file:build}, ", 1)
	})
	deploy := func(build string, args ...string) *harness.TestProcess {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "build"), []byte(build+"\n"), 0o600))
		s.serve(args...)
		return s.TestProcess
	}
	deployment := s.client.WorkerDeploymentClient().GetHandle("hookyard")
	makeCurrent := func(build string) {
		harness.Eventually(t, build+" is current", func() bool {
			_, err := deployment.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
			return err == nil
		})
	}
	one := deploy("one")
	s.logged("it runs nothing until its build is made current")
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	makeCurrent("one")
	s.parked("stripe:evt_1")
	require.Equal(t, "one", s.buildOf("stripe:evt_1"))

	s.address = harness.TestAddress(t)
	s.rewrite(func(config string) string {
		_, rest, _ := strings.Cut(config, "\n")
		return "listen: " + s.address + "\n" + rest
	})
	deploy("two")
	makeCurrent("two")
	_ = one.Stop(syscall.SIGTERM)
	peers.NewMailServerAt(t, s.smtp, nil)
	s.run("resume", "stripe:evt_1")
	s.completed("stripe:evt_1")
	require.Equal(t, "two", s.buildOf("stripe:evt_1"))
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
}

// buildOf returns the build that a run's last task was done by.
func (s *system) buildOf(workflowID string) string {
	described, err := s.client.DescribeWorkflowExecution(s.t.Context(), workflowID, "")
	require.NoError(s.t, err)
	info := described.GetWorkflowExecutionInfo().GetVersioningInfo()
	require.Equal(s.t, enumspb.VERSIONING_BEHAVIOR_AUTO_UPGRADE, info.GetBehavior())
	return info.GetDeploymentVersion().GetBuildId()
}
