package operate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func parkedCommand(env command.Env) *cobra.Command {
	var (
		only   filter
		output string
		limit  int
	)
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "List the runs that wait for a person, and show one",
		Long: `List the runs that wait for a person, those that have waited longest first. Steps
that are parked for one cause, the same source, step, reason and error, are one
row, with the Workflow Id of the run that has waited longest. The rows fit the
terminal. "-o wide" has a line for each parked step, and "parked show ID" says
everything about one run.

Runs that are held because their source is paused are not among them: --held
lists those. Where runs are held and their source is not paused, it says so.

The list may be a moment behind: a run that has just parked, or was just
resumed, can take a second to come or to go.

With "-o json", a line is a run: workflow_id, run_id, source, event_type,
workflow_type, started, steps (the first ten, each with name, reason, error,
attempts, since and started) and more, the number of other parked steps.`,
		Example: "  hookyard parked --source stripe --reason exhausted --older-than 1h\n  hookyard parked -o json | jq -r .workflow_id",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return command.Usage(fmt.Errorf("--limit %d: want 0, which is all, or more", limit))
			}
			if !slices.Contains(outputs(), output) {
				return command.Usage(fmt.Errorf("--output %q: there is no such output%s", output, config.Suggest(output, outputs())))
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
			if err := printRuns(env, runs, what, limit, output); err != nil || only.held {
				return err
			}
			return o.printForgotten(cmd.Context(), env.Stderr)
		},
	}
	filterFlags(cmd, &only)
	cmd.Flags().BoolVar(&only.held, "held", false, "the runs that wait for the end of a pause, instead")
	cmd.Flags().StringVarP(&output, "output", "o", outputCauses, "causes: a row for each cause; wide: a line for each parked step; json: an object for each run")
	cmd.Flags().IntVar(&limit, "limit", 0, "list so many runs at most, or causes (default all)")
	cmd.AddCommand(parkedShowCommand(env))
	return cmd
}

// The ways in which runs are listed.
const (
	outputCauses = "causes"
	outputWide   = "wide"
	outputJSON   = "json"
)

func outputs() []string { return []string{outputCauses, outputWide, outputJSON} }

func printRuns(env command.Env, runs []eventrun.Run, what string, limit int, output string) error {
	if output == outputCauses && len(runs) > 0 {
		groups := grouped(runs)
		shown := first(groups, limit)
		if err := printGroups(env.Stdout, shown, command.Width(env), time.Now()); err != nil {
			return err
		}
		if left := len(groups) - len(shown); left > 0 {
			fmt.Fprintf(env.Stderr, "%s left out by --limit %d\n", command.Count(left, "more cause"), limit)
		}
		return nil
	}
	shown := first(runs, limit)
	if left := len(runs) - len(shown); left > 0 {
		defer fmt.Fprintf(env.Stderr, "%d more are %s; --limit %d left them out\n", left, what, limit)
	}
	switch {
	case output == outputJSON:
		return printJSON(env.Stdout, shown)
	case len(runs) == 0:
		_, err := fmt.Fprintf(env.Stdout, "No run is %s.\n", what)
		return err
	default:
		return printWide(env.Stdout, shown, time.Now())
	}
}

// first is the first so many of a list; all of it where limit is 0.
func first[T any](all []T, limit int) []T {
	if limit > 0 && limit < len(all) {
		return all[:limit]
	}
	return all
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
