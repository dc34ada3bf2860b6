package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
)

func journalCommand(env command.Env) *cobra.Command {
	var (
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "See how much waits in the journal, and repair it",
		Long: `Say how much of each source is in the journal: events that wait for Temporal,
their bytes, the age of the oldest, and records that were set aside. Those were
acknowledged and are not started by themselves; "hookyard journal list
--set-aside" says why, and "hookyard journal retry" puts them back.

It reads the file or the database that the config names, whether an edge runs or
not. No Temporal is needed. With --json, a line is a source.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withJournal(cmd.Context(), env, file, func(t *journal.Tables) error {
				depths, err := t.Depths(cmd.Context())
				if err != nil {
					return err
				}
				return printDepths(env.Stdout, depths, asJSON, time.Now())
			})
		},
	}
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per source")
	cmd.AddCommand(journalListCommand(env, &file), journalShowCommand(env, &file), journalRetryCommand(env, &file), journalDropCommand(env, &file),
		journalVerifyCommand(env, &file), journalRecoverCommand(env, &file))
	return cmd
}

// withJournal opens the journal that the config names. It makes none.
func withJournal(ctx context.Context, env command.Env, config string, do func(t *journal.Tables) error) error {
	place, err := command.FindJournal(config, env)
	if err != nil {
		return err
	}
	if place.SQLite != "" {
		if _, err := os.Stat(place.SQLite); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no journal %q; an edge makes it that has a source with journal: true", place.SQLite)
		}
	}
	t, err := journal.OpenTables(ctx, place)
	if err != nil {
		return err
	}
	return errors.Join(do(t), t.Close())
}

func printDepths(out io.Writer, depths []journal.Depth, asJSON bool, now time.Time) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, d := range depths {
			line := struct {
				Source   string     `json:"source"`
				Events   int64      `json:"events"`
				Bytes    int64      `json:"bytes"`
				Oldest   *time.Time `json:"oldest,omitempty"`
				SetAside int64      `json:"set_aside"`
			}{Source: d.Source, Events: d.Records, Bytes: d.Bytes, SetAside: d.SetAside}
			if !d.Oldest.IsZero() {
				line.Oldest = &d.Oldest
			}
			if err := encoder.Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	if len(depths) == 0 {
		_, err := fmt.Fprintln(out, "The journal is empty.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SOURCE\tEVENTS\tBYTES\tOLDEST\tSET ASIDE")
	for _, d := range depths {
		oldest := "-"
		if !d.Oldest.IsZero() {
			oldest = age(d.Oldest, now)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\n", command.PlainLine(d.Source, 60), d.Records, d.Bytes, oldest, d.SetAside)
	}
	return table.Flush()
}

// journalPage is how many records a list reads and prints at once.
const journalPage = 500

func journalListCommand(env command.Env, file *string) *cobra.Command {
	var (
		some          journal.Some
		aside, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the events that wait in the journal, or that were set aside",
		Long: `List the events that wait for Temporal, in the order of arrival, or with
--set-aside the records that were set aside, and why:

  damaged     its bytes are not those that were stored; it cannot be put back
  too-large   Temporal never stores an event of that size
  refused     Temporal refuses it for another reason, for ever
  too-old     it waited for longer than journal.max_age
  failing     its start fails, while those of others do not

With --json, a line is a record: id, source, workflow_id, event_type, appended_at
and, where it was set aside, reason, error and set_aside_at.`,
		Example: "  hookyard journal list --set-aside --reason too-old\n  hookyard journal list --source github --json | jq -r .workflow_id",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case some.Limit < 0:
				return command.Usage(fmt.Errorf("--limit %d: want 0, which is all, or more", some.Limit))
			case some.Reason != "" && !aside:
				return command.Usage(errors.New("--reason is of records that were set aside; add --set-aside"))
			}
			return withJournal(cmd.Context(), env, *file, func(t *journal.Tables) error {
				return listRecords(cmd.Context(), env, t, some, aside, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&aside, "set-aside", false, "list those that were set aside, instead")
	cmd.Flags().StringVar(&some.Source, "source", "", "only those of this source")
	cmd.Flags().StringVar(&some.Reason, "reason", "", "only those that were set aside for this reason")
	cmd.Flags().IntVar(&some.Limit, "limit", 100, "list so many at most; 0 is all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per record")
	return cmd
}

// listRecords prints page by page, so that its memory does not grow with the
// journal.
func listRecords(ctx context.Context, env command.Env, t *journal.Tables, some journal.Some, aside, asJSON bool) error {
	read := func(some journal.Some) ([]journal.Aside, error) { return t.SetAside(ctx, some) }
	if !aside {
		read = func(some journal.Some) ([]journal.Aside, error) {
			waiting, err := t.Waiting(ctx, some)
			found := make([]journal.Aside, len(waiting))
			for i := range waiting {
				found[i].Record = waiting[i]
			}
			return found, err
		}
	}
	left := some.Limit
	for printed := 0; ; {
		page := some
		page.Limit = journalPage
		if some.Limit > 0 {
			page.Limit = min(journalPage, left)
		}
		found, err := read(page)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			if err := printRecords(env.Stdout, found, asJSON, printed == 0, time.Now()); err != nil {
				return err
			}
			some.After = found[len(found)-1].Seq
		}
		printed, left = printed+len(found), left-len(found)
		switch {
		case printed == 0 && !asJSON:
			_, err := fmt.Fprintln(env.Stdout, "No record fits.")
			return err
		case len(found) < page.Limit:
			return nil
		case some.Limit > 0 && left == 0:
			page.After, page.Limit = some.After, 1
			if more, err := read(page); err != nil || len(more) == 0 {
				return err
			}
			_, err := fmt.Fprintf(env.Stderr, "There are more; --limit %d left them out.\n", some.Limit)
			return err
		}
	}
}

func printRecords(out io.Writer, found []journal.Aside, asJSON, heading bool, now time.Time) error {
	if asJSON {
		return printRecordsJSON(out, found)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if heading {
		fmt.Fprintln(table, "ID\tSOURCE\tTYPE\tWORKFLOW ID\tAGE\tREASON\tERROR")
	}
	for _, a := range found {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Seq, command.PlainLine(a.Source, 60), command.OrDash(command.PlainLine(typeOf(a.Record), 60)),
			command.PlainLine(a.WorkflowID, 220), age(a.AppendedAt, now), command.OrDash(command.PlainLine(a.Reason, 20)), command.OrDash(command.PlainLine(a.Error, 120)))
	}
	return table.Flush()
}

// printRecordsJSON is for programs: fields may be added, and none is renamed.
func printRecordsJSON(out io.Writer, found []journal.Aside) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, a := range found {
		line := struct {
			ID         int64      `json:"id"`
			Source     string     `json:"source"`
			WorkflowID string     `json:"workflow_id"`
			EventType  string     `json:"event_type"`
			AppendedAt time.Time  `json:"appended_at"`
			Reason     string     `json:"reason,omitempty"`
			Error      string     `json:"error,omitempty"`
			SetAsideAt *time.Time `json:"set_aside_at,omitempty"`
		}{ID: a.Seq, Source: a.Source, WorkflowID: a.WorkflowID, EventType: typeOf(a.Record), AppendedAt: a.AppendedAt, Reason: a.Reason, Error: a.Error}
		if !a.SetAsideAt.IsZero() {
			line.SetAsideAt = &a.SetAsideAt
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// typeOf returns the event type of a record's header, "" for one that is damaged.
func typeOf(r journal.Record) string {
	ev, _ := r.Event()
	return ev.Type
}
