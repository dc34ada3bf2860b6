package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
)

// PushPayload is what push carries.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
type PushPayload struct {
	Ref        string `json:"ref"`
	After      string `json:"after"`
	Deleted    bool   `json:"deleted"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Pusher struct {
		Name string `json:"name"`
	} `json:"pusher"`
}

// Push asks for a build of the branch that was pushed to. Tags, and branches
// that were deleted, have nothing to build.
func Push(ctx workflow.Context, ev event.Event, push PushPayload) error {
	if push.Deleted || !strings.HasPrefix(push.Ref, "refs/heads/") {
		return nil
	}
	var build *activities.Build
	ctx = summarized(ctx, push.Repository.FullName+" "+push.Ref)
	return workflow.ExecuteActivity(ctx, build.TriggerBuild, activities.BuildRequest{
		Key:        ev.Key("TriggerBuild"),
		Repository: push.Repository.FullName,
		Ref:        push.Ref,
		Commit:     push.After,
		Pusher:     push.Pusher.Name,
	}).Get(ctx, nil)
}
