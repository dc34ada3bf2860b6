package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hookyard/hookyard/internal/command"
)

func setupCommand(env command.Env) *cobra.Command {
	var (
		retention time.Duration
		file      string
		logs      command.Logging
	)
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create the namespace and its Search Attributes",
		Long: `Create the Temporal namespace and the Search Attributes that Hookyard needs.

It may be run again at any time: what is there is left as it is, but for a
retention that is too short, which is raised. It is never lowered.

With --config it has the Schedules be those that the file asks for: one for each
source that is reconciled. A running worker does so as well.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := logs.Logger(env)
			if err != nil {
				return err
			}
			options, err := command.ClientOptions(env, logger)
			if err != nil {
				return err
			}
			c, err := command.Dial(cmd.Context(), options)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := Setup(cmd.Context(), c, options.Namespace, retention, env.Stdout); err != nil || file == "" {
				return err
			}
			return setupSchedules(cmd.Context(), env, c, options.Namespace, file)
		},
	}
	cmd.Flags().DurationVar(&retention, "retention", command.DefaultRetention,
		"how long closed runs, and so the memory of which events were there, are kept")
	cmd.Flags().StringVarP(&file, "config", "c", "", "the config file, for its Schedules")
	logs.Flags(cmd, "text")
	cmd.Flags().Lookup("log-level").DefValue = "error"
	logs.Level = "error"
	return cmd
}

// setupSchedules has the Schedules be those of the config.
func setupSchedules(ctx context.Context, env command.Env, c client.Client, namespace, file string) error {
	set, err := command.Load(file, env, false)
	if err != nil {
		return err
	}
	if err := command.CheckNamespace(ctx, c, namespace, set.Window()); err != nil {
		return err
	}
	did, err := command.KeepSchedules(ctx, c, set.Temporal.TaskQueue, set.Reconciled())
	for _, line := range did {
		fmt.Fprintln(env.Stdout, line)
	}
	if err == nil && len(did) == 0 {
		fmt.Fprintf(env.Stdout, "schedules: as they should be, %d\n", len(set.Reconciled()))
	}
	return err
}

// Setup makes the namespace fit for Hookyard and says on out what it did.
func Setup(ctx context.Context, c client.Client, namespace string, retention time.Duration, out io.Writer) error {
	if err := setupNamespace(ctx, c, namespace, retention, out); err != nil {
		return fmt.Errorf("namespace %q: %w", namespace, err)
	}
	if err := setupSearchAttributes(ctx, c, namespace, out); err != nil {
		return fmt.Errorf("search attributes of namespace %q: %w", namespace, err)
	}
	return nil
}

func setupNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration, out io.Writer) error {
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if _, ok := errors.AsType[*serviceerror.NamespaceNotFound](err); ok {
		_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace:                        namespace,
			Description:                      "Webhooks, taken in by Hookyard.",
			WorkflowExecutionRetentionPeriod: durationpb.New(retention),
		})
		var exists *serviceerror.NamespaceAlreadyExists
		if err != nil && !errors.As(err, &exists) { // another setup may have been first
			return err
		}
		fmt.Fprintf(out, "namespace %q: created, keeps closed runs for %s\n", namespace, days(retention))
		return awaitNamespaceKnown(ctx, c, namespace)
	}
	if err != nil {
		return err
	}
	kept := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	if kept >= retention {
		fmt.Fprintf(out, "namespace %q: there, keeps closed runs for %s\n", namespace, days(kept))
		return nil
	}
	_, err = c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if err != nil {
		return fmt.Errorf("raise its retention from %s to %s: %w", days(kept), days(retention), err)
	}
	fmt.Fprintf(out, "namespace %q: retention raised from %s to %s\n", namespace, days(kept), days(retention))
	return nil
}

// awaitNamespaceKnown waits for the server's caches: a namespace that was
// just made is not found for some seconds.
func awaitNamespaceKnown(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 1})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("created, but still not usable: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func setupSearchAttributes(ctx context.Context, c client.Client, namespace string, out io.Writer) error {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if command.NotForUs(err) {
		fmt.Fprintf(out, "search attributes: this server has its operators manage them; see that %s are there, all of type Keyword\n",
			strings.Join(slices.Sorted(maps.Keys(command.SearchAttributes())), ", "))
		return nil
	}
	if err != nil {
		return err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range command.SearchAttributes() {
		switch there, ok := listed.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = kind
		case there != kind:
			return fmt.Errorf("%s is there with type %s, not %s; remove it or use another namespace", name, there, kind)
		}
	}
	if len(missing) == 0 {
		fmt.Fprintln(out, "search attributes: there")
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	var exists *serviceerror.AlreadyExists
	if err != nil && !errors.As(err, &exists) { // another setup may have been first
		return err
	}
	fmt.Fprintf(out, "search attributes: created %s\n", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	return nil
}

// days writes a retention as people think of it.
func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
