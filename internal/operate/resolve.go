package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func resolveCommand(env command.Env) *cobra.Command {
	var (
		f            repairFlags
		step, result string
	)
	cmd := &cobra.Command{
		Use:   "resolve ID | --all",
		Short: "Go on behind a parked step: it was done by hand",
		Long: `Go on behind a parked step that was done by hand. The step does not run again;
the run takes --result for what it would have returned: null, which is the
default, where it returns nothing, as most steps do. A result that does not fit
parks the run again.

For the step "workflow", the run completes.`,
		Example: "  hookyard resolve stripe:evt_1 --step SendReceipt --why \"mailed by hand\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !json.Valid([]byte(result)) {
				return command.Usage(fmt.Errorf("--result %q: want JSON, such as null, 12, '\"text\"' or '{\"id\": \"re_1\"}'", result))
			}
			if err := f.needWhy(); err != nil {
				return err
			}
			return f.run(cmd, env, args, resolve{step, json.RawMessage(result)})
		},
	}
	f.flags(cmd, env)
	cmd.Flags().StringVar(&step, "step", "", "the parked step; needed where several are parked")
	cmd.Flags().StringVar(&result, "result", "null", "what the step would have returned, as JSON")
	return cmd
}

// resolve is the repair that takes a parked step for done.
type resolve struct {
	step   string
	result json.RawMessage
}

func (resolve) words() (does, did string) { return "resolve", "resolved" }

func (a resolve) do(ctx context.Context, o *operator, r eventrun.Run) (string, error) {
	if err := needParked(r, a.step); err != nil {
		return "", err
	}
	step := a.step
	if step == "" {
		if len(r.Steps) > 1 {
			more := ""
			if r.More > 0 {
				more = fmt.Sprintf(" and %d more", r.More)
			}
			return "", fmt.Errorf("several steps are parked in run %q; choose one with --step: %s%s", r.ID, strings.Join(r.StepNames(), ", "), more)
		}
		step = r.Steps[0].Name
	}
	err := o.signal(ctx, r, event.SignalResolve, parking.Resolve{Step: step, Result: a.result, By: o.by, Why: o.why}, step, string(a.result))
	return "resolved " + step, err
}
