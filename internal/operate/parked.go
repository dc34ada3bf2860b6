package operate

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func parkedCommand(env command.Env) *cobra.Command {
	var (
		only   filter
		asJSON bool
		limit  int
	)
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "List the runs that wait for a person, and show one",
		Long: `List the runs that wait for a person, those that have waited longest first: one
line per parked step. "parked show ID" says everything about one of them.

Runs that are held because their source is paused are not among them: --held
lists those. Where runs are held and their source is not paused, it says so.

The list may be a moment behind: a run that has just parked, or was just
resumed, can take a second to come or to go.

With --json, a line is a run: workflow_id, run_id, source, event_type,
workflow_type, started, steps (the first ten, each with name, reason, error,
attempts, since and started) and more, the number of other parked steps.`,
		Example: "  hookyard parked --source stripe --reason exhausted --older-than 1h\n  hookyard parked --json | jq -r .workflow_id",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return command.Usage(fmt.Errorf("--limit %d: want 0, which is all, or more", limit))
			}
			if err := only.check(); err != nil {
				return err
			}
			o, err := newOperator(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer o.close()
			runs, err := o.list(cmd.Context(), only)
			if err != nil {
				return err
			}
			what := "parked"
			if only.held {
				what = "held"
			}
			if err := printRuns(env, runs, what, limit, asJSON); err != nil || only.held {
				return err
			}
			return o.printForgotten(cmd.Context(), env.Stderr)
		},
	}
	filterFlags(cmd, &only)
	cmd.Flags().BoolVar(&only.held, "held", false, "the runs that wait for the end of a pause, instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per run")
	cmd.Flags().IntVar(&limit, "limit", 0, "list so many runs at most (default all)")
	cmd.AddCommand(parkedShowCommand(env))
	return cmd
}

func printRuns(env command.Env, runs []eventrun.Run, what string, limit int, asJSON bool) error {
	total := len(runs)
	if limit > 0 && limit < total {
		runs = runs[:limit]
		defer fmt.Fprintf(env.Stderr, "%d more are %s; --limit %d left them out\n", total-limit, what, limit)
	}
	if asJSON {
		return printJSON(env.Stdout, runs)
	}
	if total == 0 {
		_, err := fmt.Fprintf(env.Stdout, "No run is %s.\n", what)
		return err
	}
	return printTable(env.Stdout, runs, time.Now())
}

func printTable(out io.Writer, runs []eventrun.Run, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WORKFLOW ID\tSOURCE\tTYPE\tSTEP\tREASON\tAGE\tATTEMPTS\tLAST ERROR")
	for _, r := range runs {
		steps := r.Steps
		if len(steps) == 0 {
			steps = []parking.Step{{Name: "?", Error: "it does not say what is parked; see its page in Temporal's Web UI"}}
		}
		for _, s := range steps {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Source, command.PlainLine(r.EventType, 60),
				command.PlainLine(s.Name, 60), s.Reason, age(s.Since, now), attempts(s), command.PlainLine(s.Error, 80))
		}
		if r.More > 0 {
			fmt.Fprintf(table, "%s\t%s\t%s\tand %d more\t\t\t\t\n", r.ID, r.Source, command.PlainLine(r.EventType, 60), r.More)
		}
	}
	return table.Flush()
}

// printJSON is for programs: fields may be added, and none is renamed.
func printJSON(out io.Writer, runs []eventrun.Run) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, r := range runs {
		err := encoder.Encode(struct {
			WorkflowID   string         `json:"workflow_id"`
			RunID        string         `json:"run_id"`
			Source       string         `json:"source"`
			EventType    string         `json:"event_type"`
			WorkflowType string         `json:"workflow_type"`
			Started      time.Time      `json:"started"`
			Steps        []parking.Step `json:"steps"`
			More         int            `json:"more,omitempty"`
		}{r.ID, r.RunID, r.Source, r.EventType, r.WorkflowType, r.Started, r.Steps, r.More})
		if err != nil {
			return err
		}
	}
	return nil
}

// age writes how long ago something was, in its two largest units.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "?"
	}
	switch d := max(now.Sub(since), 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// attempts is "-" where the worker could not know.
func attempts(s parking.Step) string {
	if s.Attempts == 0 {
		return "-"
	}
	return strconv.Itoa(s.Attempts)
}
