package operate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func parkedShowCommand(env command.Env) *cobra.Command {
	var payloadOnly bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Say everything about one run: what is parked, its payload, who did what, how to go on",
		Long: `Say everything about one run, parked or not: its event, what is parked with the
whole error, who did what to it, its payload, and the commands to go on with.

The payload is the one that the run works on: as it was received, or as it was
amended last.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Usage(errors.New("parked show: want the Workflow Id of one run; `hookyard parked` lists them"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := newOperator(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer o.close()
			r, err := o.describe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			done, events, err := o.chain(cmd.Context(), r)
			if err != nil {
				return err
			}
			ev, payload, err := o.eventOf(cmd.Context(), events)
			if err != nil {
				return fmt.Errorf("run %q: %w", r.ID, err)
			}
			if payloadOnly {
				_, err := env.Stdout.Write(payload.GetData())
				return err
			}
			p := page{run: r, event: ev, payload: payload, events: events, deeds: done, now: time.Now()}
			_, err = io.WriteString(env.Stdout, p.String())
			return err
		},
	}
	cmd.Flags().BoolVar(&payloadOnly, "payload", false, "print the payload and nothing else, byte for byte")
	return cmd
}

// page is what `parked show` prints.
type page struct {
	run     eventrun.Run
	event   event.Event
	payload *commonpb.Payload
	events  []*historypb.HistoryEvent
	deeds   []deed
	now     time.Time
}

func (p page) String() string {
	var b strings.Builder
	line := func(what, value string) { fmt.Fprintf(&b, "%-12s %s\n", what, command.PlainLine(value, 400)) }
	state := status(p.run)
	if at := p.run.StoppedAt(); !at.IsZero() {
		state += " for " + age(at, p.now)
	}
	line("run", p.run.ID+" ("+p.run.RunID+")")
	line("state", state)
	line("Workflow", p.run.WorkflowType)
	line("source", p.event.Source+", of "+p.event.Provider)
	line("event", p.event.ID)
	line("event type", cmp.Or(p.event.Type, "none"))
	line("received", p.event.ReceivedAt.UTC().Format(time.DateTime)+" UTC, "+age(p.event.ReceivedAt, p.now)+" ago")
	line("payload", fmt.Sprintf("%s, %d bytes", payloadKind(p.event, p.payload), len(p.payload.GetData())))

	for _, s := range p.run.Steps {
		p.step(&b, s)
	}
	if p.run.More > 0 {
		fmt.Fprintf(&b, "\n... and %d more steps are parked. resume without --step tries all of them again.\n", p.run.More)
	}
	if len(p.deeds) > 0 {
		b.WriteString("\nWhat was done (times in UTC)\n\n")
		for _, d := range p.deeds {
			fmt.Fprintf(&b, "  %s\n", d)
		}
	}
	p.headers(&b)
	fmt.Fprintf(&b, "\nPayload\n\n%s\n", indented(prettyPayload(p.payload.GetData())))
	p.waysOn(&b)
	return b.String()
}

// headers prints those that the Event has kept of its delivery.
func (p page) headers(b *strings.Builder) {
	if len(p.event.Headers) == 0 {
		return
	}
	b.WriteString("\nHeaders\n\n")
	for _, name := range slices.Sorted(maps.Keys(p.event.Headers)) {
		for _, value := range p.event.Headers[name] {
			fmt.Fprintf(b, "  %s: %s\n", command.PlainLine(name, 100), command.PlainLine(value, 300))
		}
	}
	if left := p.event.HeadersLeftOut; len(left) > 0 {
		fmt.Fprintf(b, "  left out for their size: %s\n", command.PlainLine(strings.Join(left, ", "), 500))
	}
}

func (p page) step(b *strings.Builder, s parking.Step) {
	if p.run.Open() {
		fmt.Fprintf(b, "\nParked at %s: %s, for %s", command.PlainLine(s.Name, 200), command.PlainLine(string(s.Reason), 100), age(s.Since, p.now))
	} else {
		fmt.Fprintf(b, "\nClosed while parked at %s: %s", command.PlainLine(s.Name, 200), command.PlainLine(string(s.Reason), 100))
	}
	if s.Attempts > 0 {
		fmt.Fprintf(b, ", after %d attempts over %s", s.Attempts, age(s.Started, s.Since))
	}
	// Of several steps of one type, the history does not say which is which.
	text := s.Error
	if whole := lastError(p.events, s.Name); whole != "" {
		text = whole
	}
	fmt.Fprintf(b, "\n\n%s\n", indented(command.Printable(text)))
}

// waysOn lists the commands that make sense now, ready to be copied.
func (p page) waysOn(b *strings.Builder) {
	b.WriteString("\nTo go on\n\n")
	way := func(what, args, when string) {
		fmt.Fprintf(b, "  %s\n      %s\n", command.PlainLine(command.Invocation()+" "+what+" "+p.run.ID+args, 700), when)
	}
	if !p.run.Parked() {
		if p.run.Open() && p.run.TaskAttempt > 1 {
			fmt.Fprintf(b, "  Nothing is parked, but the Workflow Task has been attempted %d times:\n\n%s\n\n", p.run.TaskAttempt,
				indented(command.Printable(cmp.Or(taskFailure(p.events), "no worker has said why; see that one runs, and its log"))))
			b.WriteString("  Where the code does not fit the history, deploy code that does, or:\n\n")
			way("reset", " --step NAME", "to run it again from one of its steps, with the code of today")
			way("reset", " --start", "to run it again from its beginning")
			return
		}
		if p.run.Open() {
			b.WriteString("  Nothing is parked: the run goes on by itself.\n")
			return
		}
		way("reset", " --step NAME", "to run it again from one of its steps")
		way("reset", " --start", "to run it again from its beginning")
		return
	}
	step := ""
	if len(p.run.Steps) > 1 {
		step = " --step " + p.run.Steps[0].Name
	}
	way("resume", step, "what was in the way is gone: try again, from there")
	way("amend", "", "the payload is wrong: correct it and start over")
	way("resolve", step+" --result null --why TEXT", "it was done by hand: go on behind it")
	way("discard", " --why TEXT", "the event is not wanted: close the run as failed")
	way("reset", step, "the Workflow's code has changed: go back to before the step")
}

// payloadKind is what the sender called it or, failing that, how it is stored.
func payloadKind(ev event.Event, payload *commonpb.Payload) string {
	return command.PlainLine(cmp.Or(ev.ContentType, string(payload.GetMetadata()[converter.MetadataEncoding])), 100)
}

// prettyPayload is the payload for a person's eyes.
func prettyPayload(data []byte) string {
	var pretty bytes.Buffer
	switch {
	case len(data) == 0:
		return "(empty)"
	case json.Indent(&pretty, data, "", "  ") == nil:
		return command.Printable(strings.TrimSpace(pretty.String()))
	case utf8.Valid(data):
		return command.Printable(string(data))
	default:
		return "(not text; --payload prints it as it is)"
	}
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}
