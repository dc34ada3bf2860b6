package parking

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// The bounds of what the details hold, in lines and bytes. With the parked
// steps they stay under 16 KiB.
const (
	detailedSteps = 4
	maxLog        = 12
	maxBy         = 80
	maxWhy        = 300
)

// note writes down who did what.
func (r *Run) note(ctx workflow.Context, what, step, by, why string) {
	text := what
	if step != "" {
		text += " " + event.Code(step)
	}
	text += " by " + event.Code(somebody(by))
	if why != "" {
		text += ": " + event.Code(line(why, maxWhy))
	}
	r.noteLine(ctx, text)
}

func (r *Run) noteLine(ctx workflow.Context, text string) {
	text = fmt.Sprintf("- %s: %s", workflow.Now(ctx).UTC().Format(time.DateTime), Clip(text, 2*maxWhy))
	if r.log = append(r.log, text); len(r.log) > maxLog {
		r.log = append([]string{"- earlier: see the history"}, r.log[2:]...)
	}
}

func somebody(by string) string {
	if by == "" {
		return "somebody who gave no name"
	}
	return line(by, maxBy)
}

// line makes one line of at most so many bytes of a text.
func line(text string, most int) string {
	return Clip(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "), most)
}

// codeBlock returns a text of several lines as Markdown that makes nothing of it.
func codeBlock(text string) string {
	return "```\n" + strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "```", "'''") + "\n```\n"
}

// Clip returns at most so many bytes of a text, and "…" where it cuts.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// details is the run's page in Markdown.
func (r *Run) details(ctx workflow.Context) string {
	var b strings.Builder
	parked := r.board.steps
	for _, p := range parked[:min(len(parked), detailedSteps)] {
		b.WriteString(p.details())
	}
	if more := len(parked) - detailedSteps; more > 0 {
		b.WriteString(fmt.Sprintf("### And %d more are parked\n\n", more)) //nolint:staticcheck // workflowcheck does not take Fprintf
	}
	if len(parked) > 0 && parked[0].Reason != event.ReasonPaused {
		b.WriteString(r.payloadDetails())
		b.WriteString(howTo(workflow.GetInfo(ctx).WorkflowExecution.ID, parked[0].Name))
	}
	if len(r.log) > 0 {
		b.WriteString("### What was done\n\n" + strings.Join(r.log, "\n") + "\n")
	}
	return b.String()
}

func (p *parkedStep) details() string {
	if p.Reason == event.ReasonPaused {
		return heldDetails(p.Step)
	}
	tried := ""
	if p.Attempts > 0 {
		tried = fmt.Sprintf("%d attempts over %s, ", p.Attempts, p.Since.Sub(p.Started).Round(time.Second))
	}
	return fmt.Sprintf("### Parked at %s: %s\n\n%ssince %s UTC. The last error:\n\n%s\n",
		event.Code(p.Name), p.Reason, tried, p.Since.UTC().Format(time.DateTime), codeBlock(p.Error))
}

// heldDetails is the page of a held run.
func heldDetails(s Step) string {
	return fmt.Sprintf("### Held: %s\n\nsince %s UTC, before its first step. It goes on when the pause ends:"+
		"\n\n- `hookyard unpause` with the name of the source\n\nA Signal `resume` from this page lets this one run go on before that.\n\n",
		s.Error, s.Since.UTC().Format(time.DateTime))
}

// howTo says what can be done, ready to be copied.
func howTo(workflowID, step string) string {
	command := func(text, what string) string { return "- " + event.Code("hookyard "+text) + " " + what + "\n" }
	return "To go on, send a Signal from this page, or run one of these:\n\n" +
		command("resume "+workflowID, "tries again from here") +
		command(`resolve `+workflowID+` --step `+step+` --result null --why "…"`, "says that it was done by hand") +
		command("amend "+workflowID, "corrects the payload and starts over") +
		command(`discard `+workflowID+` --why "…"`, "gives it up") + "\n"
}

// payloadDetails says what the payload is. The Content-Type header is not
// signed, so no more of it than its media type is shown.
func (r *Run) payloadDetails() string {
	p := r.payload()
	if p == nil {
		return ""
	}
	ev, _ := r.Event()
	kind, _, _ := strings.Cut(ev.ContentType, ";")
	if kind = strings.ToLower(strings.TrimSpace(kind)); !strings.Contains(kind, "/") {
		kind = string(p.GetMetadata()[converter.MetadataEncoding])
	}
	return fmt.Sprintf("The payload is %s, %d bytes.\n\n", event.Code(line(kind, 100)), len(p.GetData()))
}
