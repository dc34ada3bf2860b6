package operate

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
)

func journalShowCommand(env command.Env, file *string) *cobra.Command {
	var payloadOnly bool
	cmd := &cobra.Command{
		Use:   "show WORKFLOW_ID",
		Short: "Say what the journal has of one event",
		Long: `Say what the journal has of one event: whether it waits or was set aside, why, and
how to go on. The id is <source>:<event id>, as "hookyard journal list" prints
it.

Neither the payload nor the headers are printed. --payload prints the payload.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withJournal(cmd.Context(), env, *file, func(t *journal.Tables) error {
				waiting, found, err := t.Find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				for _, r := range waiting {
					found = append([]journal.Aside{{Record: r}}, found...)
				}
				if len(found) == 0 {
					return fmt.Errorf("the journal has no event %q: it was started, or it never came; `hookyard parked show %s` says what became of its run", args[0], args[0])
				}
				if payloadOnly {
					return printBody(env.Stdout, found[0].Record)
				}
				for i, a := range found {
					if i > 0 {
						fmt.Fprintln(env.Stdout)
					}
					if _, err := io.WriteString(env.Stdout, showRecord(a, time.Now())); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&payloadOnly, "payload", false, "print the payload and nothing else, byte for byte")
	return cmd
}

func printBody(out io.Writer, r journal.Record) error {
	body, err := r.Body()
	if err != nil {
		return err
	}
	_, err = out.Write(body)
	return err
}

func showRecord(a journal.Aside, now time.Time) string {
	var b strings.Builder
	line := func(what, value string) { fmt.Fprintf(&b, "%-12s %s\n", what, command.PlainLine(value, 400)) }
	line("Workflow Id", a.WorkflowID)
	if a.Reason == "" {
		line("state", "waits for Temporal")
	} else {
		line("state", "set aside: "+a.Reason+", for "+age(a.SetAsideAt, now))
	}
	line("source", a.Source)
	line("event type", command.OrDash(typeOf(a.Record)))
	line("appended", a.AppendedAt.UTC().Format(time.DateTime)+" UTC, "+age(a.AppendedAt, now)+" ago")
	line("payload", fmt.Sprintf("%d bytes", len(a.Payload)))
	err := a.Check()
	if damaged := errors.Is(err, journal.ErrDamaged); damaged {
		line("checksum", "wrong: the bytes are not those that were stored")
	} else {
		line("checksum", "right")
	}
	if a.Reason == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "\n%s\n\nTo go on\n\n", indented(command.Printable(a.Error)))
	if err == nil {
		fmt.Fprintf(&b, "  %s journal retry %d\n      what was in the way is gone: put it back, to be started\n", command.Invocation(), a.Seq)
	}
	fmt.Fprintf(&b, "  %s journal drop %d\n      the event is not wanted: delete it for ever\n", command.Invocation(), a.Seq)
	return b.String()
}
