package parking

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// show writes what is parked where people look: Search Attributes and memo for
// lists, the details for the run's own page.
func (r *run) show(ctx workflow.Context) {
	state := temporal.NewSearchAttributeKeyKeyword(StateAttribute)
	reason := temporal.NewSearchAttributeKeyKeyword(ReasonAttribute)
	attributes := []temporal.SearchAttributeUpdate{state.ValueUnset(), reason.ValueUnset()}
	var memo Parked
	for _, p := range r.parked {
		memo.Steps = append(memo.Steps, p.Step)
	}
	if len(memo.Steps) > 0 {
		first := memo.Steps[0].Reason
		attributes = []temporal.SearchAttributeUpdate{state.ValueSet(stateOf(first)), reason.ValueSet(string(first))}
	}
	// Both fail only on values that cannot be encoded, and these can.
	_ = workflow.UpsertTypedSearchAttributes(ctx, attributes...)
	_ = workflow.UpsertMemo(ctx, map[string]any{MemoKey: memo})
	workflow.SetCurrentDetails(ctx, r.details(ctx))
}

func stateOf(r Reason) string {
	if r == ReasonPaused {
		return StateHeld
	}
	return StateParked
}

// clear shows that nothing is parked any more.
func (r *run) clear(ctx workflow.Context) {
	if len(r.parked) > 0 {
		r.parked = nil
		r.show(ctx)
	}
}

// note writes down who did what.
func (r *run) note(ctx workflow.Context, what, step, by, why string) {
	line := fmt.Sprintf("- %s: %s", workflow.Now(ctx).UTC().Format(time.DateTime), what)
	if step != "" {
		line += " " + step
	}
	line += " by " + somebody(by)
	if why != "" {
		line += ": " + oneLine(why)
	}
	if r.log = append(r.log, line); len(r.log) > maxLog {
		r.log = append([]string{"- earlier: see the history"}, r.log[2:]...)
	}
}

// maxLog is how many lines of who did what are shown.
const maxLog = 30

func somebody(by string) string {
	if by == "" {
		return "somebody who gave no name"
	}
	return oneLine(by)
}

func orNot(why string) string {
	if why == "" {
		return "no reason given"
	}
	return oneLine(why)
}

func oneLine(text string) string { return clip(strings.Join(strings.Fields(text), " "), 500) }

// details is the run's page in Markdown.
func (r *run) details(ctx workflow.Context) string {
	var b strings.Builder
	for _, p := range r.parked {
		b.WriteString(p.details())
	}
	if len(r.parked) > 0 && r.parked[0].Reason != ReasonPaused {
		b.WriteString(r.payloadDetails())
		b.WriteString(howTo(workflow.GetInfo(ctx).WorkflowExecution.ID, r.parked[0].Name))
	}
	if len(r.log) > 0 {
		b.WriteString("### What was done\n\n" + strings.Join(r.log, "\n") + "\n")
	}
	return b.String()
}

func (p *parkedStep) details() string {
	if p.Reason == ReasonPaused {
		return heldDetails(p.Step)
	}
	tried := ""
	if p.Attempts > 0 {
		tried = fmt.Sprintf("%d attempts over %s, ", p.Attempts, p.Since.Sub(p.Started).Round(time.Second))
	}
	return fmt.Sprintf("### Parked at %s: %s\n\n%ssince %s UTC. The last error:\n\n```\n%s\n```\n\n",
		p.Name, p.Reason, tried, p.Since.UTC().Format(time.DateTime), strings.ReplaceAll(p.Error, "```", "'''"))
}

// howTo is what there is to copy and paste.
func howTo(workflowID, step string) string {
	return fmt.Sprintf(`To go on, send a Signal from this page, or run one of these:

- %[1]shookyard resume %[2]s%[1]s tries again from here
- %[1]shookyard resolve %[2]s --step %[3]s --result null --why "…"%[1]s says that it was done by hand
- %[1]shookyard amend %[2]s%[1]s corrects the payload and starts over
- %[1]shookyard discard %[2]s --why "…"%[1]s gives it up

`, "`", workflowID, step)
}

func (r *run) payloadDetails() string {
	p := r.payload()
	if p == nil {
		return ""
	}
	ev, _ := r.event()
	kind := ev.ContentType
	if kind == "" {
		kind = string(p.GetMetadata()[converter.MetadataEncoding])
	}
	return fmt.Sprintf("The payload is %s, %d bytes.\n\n", oneLine(kind), len(p.GetData()))
}
