package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
)

const (
	// unregisteredFor is how many attempts an Activity has that no worker
	// knows: during a deploy, an old worker may be asked for a new Activity.
	unregisteredFor = 10
	// unregisteredEvery is the time between them. Together they are some
	// minutes, where a Retry Policy may last for days.
	unregisteredEvery = 30 * time.Second
)

// Unregistered is a dynamic Activity: it takes the place of every Activity that
// the worker does not have. known are the names that it has.
//
// The error is of type event.ErrorUnregistered, and permanent from the tenth
// attempt on. It says what to register.
func Unregistered(known []string) func(ctx context.Context, _ converter.EncodedValues) error {
	known = slices.Sorted(slices.Values(known))
	return func(ctx context.Context, _ converter.EncodedValues) error {
		info := activity.GetInfo(ctx)
		text := fmt.Sprintf("no Activity %q is registered: give it to the Workflow's hookyard.On and deploy, or correct the name in the Workflow; registered: %s",
			info.ActivityType.Name, strings.Join(known, ", "))
		return temporal.NewApplicationErrorWithOptions(text, event.ErrorUnregistered, temporal.ApplicationErrorOptions{
			NonRetryable: info.Attempt >= unregisteredFor, NextRetryDelay: unregisteredEvery,
		})
	}
}
