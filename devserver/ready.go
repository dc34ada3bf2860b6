package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ready returns once the frontend serves, every Namespace answers with the
// Search Attributes that were asked for, and the Web UI is up.
func ready(ctx context.Context, opts options, addrs addresses) error {
	conn, err := grpc.NewClient("passthrough:///"+dialable(addrs.frontend).String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()

	if err := eventually(ctx, func(ctx context.Context) error { return healthy(ctx, conn) }); err != nil {
		return err
	}
	for _, name := range opts.namespaces {
		if err := setUpNamespace(ctx, conn, name, opts); err != nil {
			return fmt.Errorf("namespace %q: %w", name, err)
		}
	}
	if opts.headless {
		return nil
	}
	return eventually(ctx, func(ctx context.Context) error {
		return answers(ctx, "http://"+dialable(addrs.ui).String()+"/healthz")
	})
}

func healthy(ctx context.Context, conn *grpc.ClientConn) error {
	response, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{
		Service: workflowservice.WorkflowService_ServiceDesc.ServiceName,
	})
	if err != nil {
		return err
	}
	if status := response.GetStatus(); status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("the frontend's health is %s", status)
	}
	return nil
}

// setUpNamespace brings a Namespace to what the command line says and waits
// until it is of use. Its Search Attributes are registered over the API and
// not when the Namespace is created, so that an old file gets new ones.
func setUpNamespace(ctx context.Context, conn *grpc.ClientConn, name string, opts options) error {
	workflows := workflowservice.NewWorkflowServiceClient(conn)
	if opts.retentionSet {
		if _, err := workflows.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
			Namespace: name,
			Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(opts.retention)},
		}); err != nil {
			return fmt.Errorf("set the retention to %s: %w", opts.retention, err)
		}
	}
	if err := addSearchAttributes(ctx, operatorservice.NewOperatorServiceClient(conn), name, opts.searchAttributes); err != nil {
		return err
	}
	for _, query := range queries(opts.searchAttributes) {
		if err := eventually(ctx, func(ctx context.Context) error {
			_, err := workflows.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: name, Query: query})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// queries fail for as long as the frontend does not know the Namespace or one
// of the Search Attributes.
func queries(attributes map[string]enums.IndexedValueType) []string {
	queries := []string{""}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		queries = append(queries, "`"+name+"` IS NULL")
	}
	return queries
}

// addSearchAttributes registers those that the Namespace does not have. One
// that is there with another type is an error: its type cannot be changed,
// and starts that use it would fail.
func addSearchAttributes(ctx context.Context, operator operatorservice.OperatorServiceClient, name string, want map[string]enums.IndexedValueType) error {
	if len(want) == 0 {
		return nil
	}
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: name})
	if err != nil {
		return fmt.Errorf("list the search attributes: %w", err)
	}
	missing := maps.Clone(want)
	for _, attribute := range slices.Sorted(maps.Keys(want)) {
		typ, ok := have.GetCustomAttributes()[attribute]
		if !ok {
			typ, ok = have.GetSystemAttributes()[attribute]
		}
		if !ok {
			continue
		}
		if typ != want[attribute] {
			return fmt.Errorf("search attribute %q is already there as %s, not as %s; rename it or start with a new --db-filename", attribute, typ, want[attribute])
		}
		delete(missing, attribute)
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: name, SearchAttributes: missing}); err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A client of its own: the default one would go through a proxy that
	// the environment names.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}

// eventually calls check until it succeeds, and returns its last error when
// ctx ends first.
func eventually(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := check(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
