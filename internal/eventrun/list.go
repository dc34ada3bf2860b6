package eventrun

import (
	"context"
	"iter"

	"go.temporal.io/api/workflowservice/v1"
)

// Lister is the part of client.Client that lists runs.
type Lister interface {
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
}

// List returns the runs that fit the query of Temporal's, each once: a run that
// changes between two pages may be in both. It ends with the first error.
func List(ctx context.Context, from Lister, query string) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		seen := map[string]bool{} // by Run Id
		request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 500}
		for {
			page, err := from.ListWorkflow(ctx, request)
			if err != nil {
				yield(Run{}, err)
				return
			}
			for _, info := range page.GetExecutions() {
				r := New(info)
				if seen[r.RunID] {
					continue
				}
				seen[r.RunID] = true
				if !yield(r, nil) {
					return
				}
			}
			if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
				return
			}
		}
	}
}
