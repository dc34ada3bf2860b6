package main

import (
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// note goes to the depot with each parcel. The test of `dev --watch` changes it.
const note = "as it was"

// Parcel is the payload.
type Parcel struct {
	ID string `json:"parcel"`
}

func parcelSent(ctx workflow.Context, ev event.Event, p Parcel) error {
	var depot *Depot
	return workflow.ExecuteActivity(ctx, depot.Announce, ev.Key("Announce"), p.ID, note).Get(ctx, nil)
}

// parcelLost calls an Activity that the program does not have.
func parcelLost(ctx workflow.Context, _ event.Event, p Parcel) error {
	return workflow.ExecuteActivity(ctx, "SearchEverywhere", p.ID).Get(ctx, nil)
}
