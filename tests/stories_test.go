package tests

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/tests/harness"
)

var (
	stories    = flag.Int("stories", 4, "how many runs TestStories takes through random deeds")
	firstStory = flag.Uint64("story", 1, "the seed of the first of them")
)

// deployed is what the worker of TestStories runs. A deploy restarts it with
// another one.
type deployed struct {
	mu    sync.Mutex
	down  map[string]bool // by event id and step
	calls map[string]int  // by event id and step
}

func (d *deployed) step(name string) func(context.Context, string) (string, error) {
	return func(_ context.Context, id string) (string, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		key := id + " " + name
		if d.calls[key]++; d.down[key] {
			return "", temporal.NewNonRetryableApplicationError(name+" is down", "Down", nil)
		}
		return name, nil
	}
}

// handler is the Workflow of a version: A, then B and C at once.
func handler(version int) worker.Handler {
	return worker.On("stripe.story", func(ctx workflow.Context, ev event.Event, _ struct{ N int }) error {
		var a, b, c string
		if err := workflow.ExecuteActivity(ctx, "A", ev.ID).Get(ctx, &a); err != nil {
			return err
		}
		first, second := workflow.ExecuteActivity(ctx, "B", ev.ID), workflow.ExecuteActivity(ctx, "C", ev.ID)
		if err := errors.Join(first.Get(ctx, &b), second.Get(ctx, &c)); err != nil {
			return err
		}
		switch version {
		case 1:
			return errors.New("no rule for this order")
		case 2:
			panic("no rule for this order")
		default:
			return nil
		}
	})
}

// TestStories takes runs on a real server through random deeds of the world and
// of people, worker kills and deploys among them. Afterwards what was wrong is
// put right, and the documented commands complete each run or it was closed by
// somebody.
func TestStories(t *testing.T) {
	t.Parallel()
	d := &deployed{down: map[string]bool{}, calls: map[string]int{}}
	r := newRuns(t, once(), map[string]any{"A": d.step("A"), "B": d.step("B"), "C": d.step("C")}, handler(0))
	stop := r.start()
	deploy := func(version int) {
		stop()
		r.handlers = []worker.Handler{handler(version)}
		stop = r.start()
	}
	var told []string
	rng := rand.New(rand.NewPCG(*firstStory, 0))
	ids := map[string]bool{} // Workflow Ids, true once somebody closed the run
	for n := range *stories {
		id := fmt.Sprintf("evt_%d_%d", *firstStory, n)
		d.mu.Lock()
		for _, step := range []string{"A", "B", "C"} {
			d.down[id+" "+step] = rng.IntN(2) == 0
		}
		d.mu.Unlock()
		ids[r.begin(event.Event{ID: id, Type: "story"}, `{"n":1}`)] = false
	}
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	ignored := func(err error) { // the run has closed, or refuses with a reason
		var gone *serviceerror.NotFound
		if err != nil && !errors.As(err, &gone) {
			tell("  refused: %v", err)
		}
	}
	for range 8 * *stories {
		workflowID := event.WorkflowID("stripe", fmt.Sprintf("evt_%d_%d", *firstStory, rng.IntN(*stories)))
		step := []string{"A", "B", "C"}[rng.IntN(3)]
		switch rng.IntN(10) {
		case 0, 1:
			key := strings.TrimPrefix(workflowID, "stripe:") + " " + step
			d.mu.Lock()
			d.down[key] = !d.down[key]
			tell("%s: down is now %t", key, d.down[key])
			d.mu.Unlock()
		case 2:
			tell("%s: resume", workflowID)
			ignored(r.client.SignalWorkflow(t.Context(), workflowID, "", event.SignalResume, parking.Resume{By: "ada"}))
		case 3:
			tell("%s: resume %s", workflowID, step)
			ignored(r.client.SignalWorkflow(t.Context(), workflowID, "", event.SignalResume, parking.Resume{Step: step}))
		case 4, 5:
			result := []string{`"by hand"`, `{"wrong":1}`, `7`}[rng.IntN(3)]
			tell("%s: resolve %s with %s", workflowID, step, result)
			ignored(r.client.SignalWorkflow(t.Context(), workflowID, "", event.SignalResolve, parking.Resolve{Step: step, Result: json.RawMessage(result)}))
		case 6:
			payload := []string{`{"N":2}`, `{"N":"x"}`}[rng.IntN(2)]
			tell("%s: amend with %s", workflowID, payload)
			if r.statusOf(workflowID) == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				_, err := r.amend(workflowID, payload)
				ignored(err)
			}
		case 7:
			version := rng.IntN(3)
			tell("the worker is stopped, and version %d deployed", version)
			deploy(version)
		case 8:
			flags := [][]string{{"--start"}, {"--step", step}, nil}[rng.IntN(3)]
			tell("%s: reset %q", workflowID, flags)
			p := harness.Run(t, r.vars(), programs.Hookyard, append([]string{"reset", workflowID, "--again", "--why", "a test"}, flags...)...)
			_ = p.Wait() // whether there is such a step is for the command to say
			tell("  %s", strings.TrimSpace(p.Output.String()))
		case 9:
			if rng.IntN(3) == 0 {
				tell("%s: discard", workflowID)
				ids[workflowID] = true
				ignored(r.client.SignalWorkflow(t.Context(), workflowID, "", event.SignalDiscard, parking.Discard{By: "ada", Why: "no"}))
			}
		}
	}
	// What was wrong is put right.
	d.mu.Lock()
	clear(d.down)
	d.mu.Unlock()
	deploy(0)
	for workflowID, closed := range ids {
		tries := 0
		harness.Eventually(t, workflowID+" is closed\n"+strings.Join(told, "\n"), func() bool {
			switch status := r.statusOf(workflowID); status {
			case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
				return true
			case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
				require.True(t, closed, "%s failed, and nobody discarded it\n%s", workflowID, strings.Join(told, "\n"))
				return true
			case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
				if tries++; tries%20 == 0 {
					_, err := r.amend(workflowID, `{"N":1}`) // the way out of everything
					ignored(err)
				} else if len(r.memo(workflowID).Steps) > 0 {
					ignored(r.client.SignalWorkflow(t.Context(), workflowID, "", event.SignalResume, parking.Resume{By: "ada"}))
				}
				return false
			default:
				require.Fail(t, "closed by surprise", "%s is %s\n%s", workflowID, status, strings.Join(told, "\n"))
				return false
			}
		})
	}
}
