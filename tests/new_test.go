package tests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hookyard/hookyard/tests/harness"
)

// team is a user who has Go and the hookyard program, in a folder that has
// nothing to do with Hookyard's own.
type team struct {
	t                    *testing.T
	home, folder         string // folder is where commands are typed
	edge, temporal, uiAt string
	system               string   // the address of the outside system
	program              string   // how the team's program is typed
	more                 []string // variables
}

func newTeam(t *testing.T) *team {
	return &team{
		t: t, home: t.TempDir(), folder: t.TempDir(),
		program: "go run .", edge: harness.TestAddress(t), temporal: harness.TestAddress(t), uiAt: harness.TestAddress(t), system: harness.TestAddress(t),
	}
}

// vars share the caches of this machine and nothing else that a user has.
func (m *team) vars() []string {
	vars := []string{
		"HOME=" + m.home, "XDG_CACHE_HOME=" + filepath.Dir(filepath.Dir(programs.DevServer)),
		"GOCACHE=" + goEnv(m.t, "GOCACHE"), "GOMODCACHE=" + goEnv(m.t, "GOMODCACHE"),
		"TEMPORAL_ADDRESS=" + m.temporal, // as 7233 may be taken
		"PATH=" + strings.Join([]string{filepath.Dir(programs.Hookyard), filepath.Dir(goTool(m.t)), "/usr/bin", "/bin"}, ":"),
	}
	for _, name := range []string{"GOPROXY", "GONOSUMDB", "GOSUMDB", "GONOSUMCHECK", "GOFLAGS", "SSL_CERT_FILE", "HTTPS_PROXY"} {
		if value, ok := os.LookupEnv(name); ok {
			vars = append(vars, name+"="+value)
		}
	}
	return append(vars, m.more...)
}

// start types a line in the folder. A program that `go run` starts does not see
// a signal to `go run`, so the whole group is signaled at the end.
func (m *team) start(line string) *harness.TestProcess {
	p := harness.Run(m.t, m.vars(), "/bin/sh", "-c", "cd '"+m.folder+"' && "+line)
	m.t.Cleanup(func() { interrupt(p) })
	return p
}

// interrupt does what a Ctrl-C at the terminal does, and waits for the end.
func interrupt(p *harness.TestProcess) {
	if !p.Gone() {
		_ = syscall.Kill(-p.PID(), syscall.SIGINT) // an error means that it has ended
	}
	_ = p.Wait() // how it ends is for the test to say
}

// run types a line and returns what it printed. The line must succeed.
func (m *team) run(line string) string {
	m.t.Helper()
	p := m.start(line)
	require.NoError(m.t, p.Wait(), "%s: %s", line, p.Output)
	return p.Output.String()
}

// replace edits a file of the folder.
func (m *team) replace(name string, oldnew ...string) {
	m.t.Helper()
	path := filepath.Join(m.folder, name)
	text, err := os.ReadFile(path)
	require.NoError(m.t, err)
	for i := 0; i < len(oldnew); i += 2 {
		require.Contains(m.t, string(text), oldnew[i])
	}
	require.NoError(m.t, os.WriteFile(path, []byte(strings.NewReplacer(oldnew...).Replace(string(text))), 0o600))
}

// dev runs the team's program as `dev` and waits until it is up.
func (m *team) dev(flags string) *harness.TestProcess {
	p := m.start("exec " + m.program + " dev --ui-port " + harness.Port(m.uiAt) + " " + flags)
	harness.Eventually(m.t, "the team's program is up", func() bool {
		require.False(m.t, p.Gone(), "it ended: %s", p.Output)
		return strings.Contains(p.Output.String(), "hookyard is up")
	})
	return p
}

// completed waits until a run has completed and returns its history.
func (m *team) completed(c client.Client, id string) []*historypb.HistoryEvent {
	m.t.Helper()
	harness.Eventually(m.t, id+" completes", func() bool {
		described, err := c.DescribeWorkflowExecution(m.t.Context(), id, "")
		require.NoError(m.t, err)
		return described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	})
	return historyOf(m.t, c, id)
}

func historyOf(t *testing.T, c client.Client, id string) (events []*historypb.HistoryEvent) {
	history := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		events = append(events, event)
	}
	return events
}

// steps lists the Activities that a history has completed, with their results.
func steps(events []*historypb.HistoryEvent) (completed []string) {
	names := map[int64]string{}
	for _, e := range events {
		if scheduled := e.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			names[e.GetEventId()] = scheduled.GetActivityType().GetName()
		}
		if done := e.GetActivityTaskCompletedEventAttributes(); done != nil {
			step := names[done.GetScheduledEventId()]
			for _, p := range done.GetResult().GetPayloads() {
				step += " " + string(p.GetData())
			}
			completed = append(completed, step)
		}
	}
	return completed
}

// TestNew types what `hookyard new` tells a new user to, in an empty folder.
func TestNew(t *testing.T) {
	t.Parallel()
	m := newTeam(t)
	said := m.run("hookyard new hooks && cd hooks && go vet ./... && go test ./...")
	require.Contains(t, said, "cd hooks\n  go run . dev\n  go run . send acme order.created\n")
	require.Contains(t, said, "ok  \thooks\t")
	require.Contains(t, said, "ok  \thooks/activities")

	m.folder = filepath.Join(m.folder, "hooks")
	secret, err := os.Stat(filepath.Join(m.folder, "secrets", "acme"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), secret.Mode().Perm())
	require.Contains(t, m.run("cat .gitignore"), "/secrets/\n")

	// The ports of this machine may be taken, and a policy that no default has
	// is told from any other.
	m.replace("hookyard.yaml", "127.0.0.1:8080", m.edge, "127.0.0.1:8090", m.system,
		"initial: 1s, backoff: 2, max: 1h, attempts: 4, timeout: 5s", "initial: 300ms, backoff: 1.5, max: 7m, attempts: 3, timeout: 6s")
	dev := m.dev("")
	require.Contains(t, dev.Output.String(), "  go run . send acme order.created\n")
	c := harness.Dial(t, client.Options{HostPort: m.temporal})

	require.Contains(t, m.run("go run . send acme order.created --id evt_1"), "accepted  200  acme:evt_1")
	require.Empty(t, cmp.Diff([]string{`ReserveGoods "reservation-for-acme:evt_1:ReserveGoods"`, "ShipGoods"}, steps(m.completed(c, "acme:evt_1"))))
	require.Contains(t, m.run("go run . send stripe invoice.paid --id evt_1"), "accepted  200  stripe:evt_1")
	m.completed(c, "stripe:evt_1")

	m.run("touch warehouse.down && go run . send acme order.created --id evt_2")
	harness.Eventually(t, "the run parks", func() bool { return strings.Contains(m.run("go run . parked"), "acme:evt_2") })
	require.Empty(t, cmp.Diff([]attempts{{
		Activity: "ReserveGoods", Made: 3, Timeout: 6 * time.Second,
		Policy: &commonpb.RetryPolicy{
			InitialInterval: durationpb.New(300 * time.Millisecond), BackoffCoefficient: 1.5,
			MaximumInterval: durationpb.New(7 * time.Minute), MaximumAttempts: 3,
		},
	}}, attemptsOf(historyOf(t, c, "acme:evt_2"), "ReserveGoods"), protocmp.Transform()))
	require.Equal(t, 3, strings.Count(dev.Output.String(), "warehouse: down"), "requests that the outside system saw")

	m.run("rm warehouse.down && go run . resume acme:evt_2 --why 'the warehouse is back'")
	require.Subset(t, steps(m.completed(c, "acme:evt_2")), []string{`ReserveGoods "reservation-for-acme:evt_2:ReserveGoods"`, "ShipGoods"})

	require.NoError(t, os.WriteFile(filepath.Join(m.folder, "replay_test.go"), []byte(replayTest), 0o600))
	said = m.run("HOOKYARD_RECORD=acme:evt_1 go test -v -run TestReplay .")
	require.Contains(t, said, "recorded testdata/histories/acme_evt_1.json")
	require.Contains(t, said, "--- PASS: TestReplay/acme_evt_1.json")

	interrupt(dev)
	require.Empty(t, processesOf(t, harness.Port(m.temporal)), "processes left behind")
}

// replayTest is the line of docs/testing.md that replays histories.
const replayTest = `package main

import (
	"testing"

	"github.com/hookyard/hookyard/hookyardtest"
)

func TestReplay(t *testing.T) { hookyardtest.Replay(t, app(), "testdata/histories") }
`

// attempts are those of one Activity, and the policy that they were made under.
type attempts struct {
	Activity string
	Made     int32
	Timeout  time.Duration
	Policy   *commonpb.RetryPolicy
}

// attemptsOf returns those of each call of an Activity.
func attemptsOf(events []*historypb.HistoryEvent, activity string) (all []attempts) {
	at := map[int64]int{}
	for _, e := range events {
		if s := e.GetActivityTaskScheduledEventAttributes(); s.GetActivityType().GetName() == activity {
			at[e.GetEventId()] = len(all)
			all = append(all, attempts{Activity: activity, Timeout: s.GetStartToCloseTimeout().AsDuration(), Policy: s.GetRetryPolicy()})
		}
		if s := e.GetActivityTaskStartedEventAttributes(); s != nil {
			if i, ok := at[s.GetScheduledEventId()]; ok {
				all[i].Made = s.GetAttempt()
			}
		}
	}
	return all
}
