package serve

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/internal/worker/waiting"
)

// liveWorker runs Workflows and Activities, by a config that may change
// meanwhile.
type liveWorker struct {
	client     client.Client
	namespace  string
	cfg        *config.Config // of the start
	app        command.App
	activities []any // the team's, connected
	tasks      *worker.Tasks
	payloads   *command.Payloads
	logger     *slog.Logger
	sending    *sending // nil where the config has none
	reconcile  *reconciling

	policies worker.Policies
	forward  forward.Activities
	alerts   alert.Activities
	waiting  waiting.Activities
}

func newLiveWorker(c client.Client, s *Service, activities []any) *liveWorker {
	return &liveWorker{
		client: c, namespace: s.Temporal.Namespace, cfg: s.Started.Config, app: s.App, activities: activities, tasks: s.tasks, payloads: s.Payloads, logger: s.Logger, sending: s.sending,
		forward: forward.Activities{HTTP: &http.Client{}}, // attempts are bounded by their Activity's timeout
		alerts:  alert.Activities{Client: c, TaskQueue: s.Started.Temporal.TaskQueue},
		waiting: waiting.Activities{Client: c, Namespace: s.Temporal.Namespace},
	}
}

// reload has steps that begin from now on go by the setting. It is called once
// before run.
func (w *liveWorker) reload(now *command.Setting) error {
	targets, err := command.ForwardTargets(now.Config)
	if err != nil {
		return err
	}
	alerts, err := alertConfig(now.Config, w.namespace)
	if err != nil {
		return err
	}
	w.forward.Targets.Store(&targets)
	w.alerts.Config.Store(alerts)
	keys, err := command.EncryptionKeys(now.Encryption)
	if err != nil {
		return err
	}
	w.payloads.Codec.Replace(keys)
	w.policies.Replace(command.Policies(now.Config))
	return nil
}

// register gives the worker the Activities.
func (w *liveWorker) register(to sdkworker.Worker) {
	for _, a := range w.activities {
		to.RegisterActivity(a)
	}
	to.RegisterActivity(&w.forward)
	to.RegisterActivity(&w.alerts)
	to.RegisterActivity(&w.waiting)
	to.RegisterActivity(&worker.Pauses{Client: w.client})
	w.reconcile.register(to)
	if w.sending != nil {
		delivery.Register(to)
		to.RegisterActivityWithOptions(w.sending.activities, activity.RegisterOptions{SkipInvalidStructFunctions: true})
	}
	to.RegisterDynamicActivity(worker.Unregistered(w.app.ActivityNames()), activity.DynamicRegisterOptions{})
}

// pollers is how many polls for tasks of each kind are under way at once. Each
// brings one task, so with the SDK's two a backlog is worked off at two tasks
// for each round trip, however many of them the worker could do.
const pollers = 10

// heartbeats is how often the heartbeats of an Activity go to the server, at
// most. By default it is four fifths of the timeout, which leaves a busy machine
// little time.
const heartbeats = 4 * time.Second

// workerStopTimeout is how long Activities in flight may go on after the
// worker is told to stop. One that is cut off is attempted again elsewhere.
const workerStopTimeout = 20 * time.Second

// options are those of the worker of one queue.
func (w *liveWorker) options(queue config.Queue, fatal func(error)) sdkworker.Options {
	o := sdkworker.Options{
		TaskQueueActivitiesPerSecond:       queue.PerSecond,
		MaxConcurrentActivityExecutionSize: queue.Concurrent,
		Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{
			Policies: &w.policies, Tasks: w.tasks,
			Parking: parking.Options{ParkFor: w.cfg.ParkFor, DataConverter: payload.DataConverter(w.payloads.Codec), Fits: delivery.Fits(worker.Fits(w.app.Workflows))},
		})},
		MaxConcurrentWorkflowTaskPollers: pollers,
		MaxConcurrentActivityTaskPollers: pollers,
		WorkerStopTimeout:                workerStopTimeout,
		MaxHeartbeatThrottleInterval:     heartbeats,
		OnFatalError:                     fatal,
	}
	if v := w.cfg.Temporal.Versioning; v != nil {
		o.DeploymentOptions = sdkworker.DeploymentOptions{
			UseVersioning: true,
			Version:       sdkworker.WorkerDeploymentVersion{DeploymentName: v.Deployment, BuildID: v.BuildID},
			// A run that is pinned to a build stays parked when that build is
			// gone. So each goes on with whatever build is current, which
			// `hookyard replay` tries beforehand.
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
		}
	}
	return o
}

// queues are the Task Queues that the worker polls, the default one first.
func (w *liveWorker) queues() []config.Queue {
	all := []config.Queue{{Name: w.cfg.Temporal.TaskQueue}}
	for _, q := range w.cfg.Queues {
		switch {
		case q.External:
		case q.Name == w.cfg.Temporal.TaskQueue:
			all[0] = q
		default:
			all = append(all, q)
		}
	}
	return all
}

// run polls all queues until ctx ends.
func (w *liveWorker) run(ctx context.Context) error {
	polling, ctx := errgroup.WithContext(ctx)
	for _, queue := range w.queues() {
		polling.Go(func() error { return w.poll(ctx, queue) })
	}
	return polling.Wait()
}

// poll takes tasks from one queue until ctx ends. A worker that cannot start, or
// that dies of a fatal error, is replaced after a pause: nothing is lost
// meanwhile, since Temporal holds the tasks.
func (w *liveWorker) poll(ctx context.Context, queue config.Queue) error {
	const pause = 3 * time.Second
	for {
		died := make(chan error, 1)
		polling := sdkworker.New(w.client, queue.Name, w.options(queue, func(err error) { died <- err }))
		if err := worker.Register(polling, w.app.Workflows); err != nil {
			return err
		}
		w.register(polling)
		err := polling.Start()
		if err == nil {
			w.logStarted(queue.Name)
			select {
			case <-ctx.Done():
				polling.Stop()
				return nil
			case err = <-died: // it has stopped itself
			}
		}
		w.logger.Error("worker stopped; starting another", "task_queue", queue.Name, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (w *liveWorker) logStarted(queue string) {
	v := w.cfg.Temporal.Versioning
	if v == nil {
		w.logger.Info("worker started", "task_queue", queue)
		return
	}
	w.logger.Info("worker started; it runs nothing until its build is made current or ramped up in the deployment",
		"task_queue", queue, "deployment", v.Deployment, "build_id", v.BuildID)
}
