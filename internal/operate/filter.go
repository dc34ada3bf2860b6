package operate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// filter says which runs are meant. The zero filter means all of them.
type filter struct {
	source    string
	eventType string // "*" stands for any run of characters
	reason    string
	olderThan time.Duration
	failed    bool // runs closed as failed, instead of parked ones
	held      bool // runs that wait for the end of a pause, instead of parked ones
}

// filterFlagNames are the names of the flags that filterFlags adds.
func filterFlagNames() []string { return []string{"source", "type", "reason", "older-than"} }

func filterFlags(cmd *cobra.Command, f *filter) {
	cmd.Flags().StringVar(&f.source, "source", "", "only runs of this source")
	cmd.Flags().StringVar(&f.eventType, "type", "", "only runs of this event type; * stands for anything, as in \"invoice.*\"")
	cmd.Flags().StringVar(&f.reason, "reason", "", "only runs whose first parked step has this reason: "+strings.Join(reasons(), ", "))
	cmd.Flags().DurationVar(&f.olderThan, "older-than", 0, "only runs that have been parked for so long, such as 90m or 48h")
}

// reasons lists the reasons of parked runs.
func reasons() []string {
	var names []string
	for _, r := range event.ParkReasons() {
		names = append(names, string(r))
	}
	return names
}

// check finds what would silently fit no run.
func (f filter) check() error {
	if f.reason != "" && !slices.Contains(reasons(), f.reason) {
		return command.Usage(fmt.Errorf("--reason %q: there is no such reason%s", f.reason, config.Suggest(f.reason, reasons())))
	}
	if f.olderThan < 0 {
		return command.Usage(fmt.Errorf("--older-than %s: want a time span, such as 90m", f.olderThan))
	}
	if f.failed && f.reason != "" {
		return command.Usage(errors.New("--reason is of parked runs; --failed lists closed ones"))
	}
	return nil
}

// query is the filter as Temporal's visibility takes it. What that cannot say
// is left to takes.
func (f filter) query() string {
	state := event.StateParked
	if f.held {
		state = event.StateHeld
	}
	conditions := []string{equals(event.StateAttribute, state), equals("ExecutionStatus", "Running")}
	if f.failed {
		// Other programs may have failed runs in the namespace, too.
		conditions = []string{equals("ExecutionStatus", "Failed"), event.SourceAttribute + " IS NOT NULL"}
	}
	if f.source != "" {
		conditions = append(conditions, equals(event.SourceAttribute, f.source))
	}
	if f.eventType != "" && !strings.Contains(f.eventType, "*") {
		conditions = append(conditions, equals(event.TypeAttribute, f.eventType))
	}
	if f.reason != "" {
		conditions = append(conditions, equals(event.ReasonAttribute, f.reason))
	}
	return strings.Join(conditions, " AND ")
}

// equals writes a comparison with a value that may hold anything: event types
// come from outside.
func equals(attribute, value string) string {
	return attribute + ` = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// takes reports whether a run that fits the query fits the rest.
func (f filter) takes(r eventrun.Run, now time.Time) bool {
	if strings.Contains(f.eventType, "*") && !event.Match(f.eventType, r.EventType) {
		return false
	}
	return f.olderThan == 0 || now.Sub(r.StoppedAt()) >= f.olderThan
}
