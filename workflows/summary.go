package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"
)

// summarized returns a context whose Activities show the text beside their
// name in the Web UI's timeline. Temporal takes up to 400 bytes of it.
func summarized(ctx workflow.Context, text string) workflow.Context {
	options := workflow.GetActivityOptions(ctx)
	options.Summary = strings.ToValidUTF8(text[:min(len(text), 200)], "")
	return workflow.WithActivityOptions(ctx, options)
}
