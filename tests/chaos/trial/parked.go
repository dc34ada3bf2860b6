package trial

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// parkedRun is what `hookyard parked -o json` says about a run.
type parkedRun struct {
	WorkflowID string       `json:"workflow_id"`
	Steps      []parkedStep `json:"steps"`
}

type parkedStep struct {
	Name    string    `json:"name"`
	Reason  string    `json:"reason"`
	Error   string    `json:"error"`
	Since   time.Time `json:"since"`
	Started time.Time `json:"started"`
}

// parked lists the runs that wait for a person.
func (s *system) parked(ctx context.Context) ([]parkedRun, error) {
	out, err := s.run(ctx, "parked", "-o", "json")
	if err != nil {
		return nil, err
	}
	var runs []parkedRun
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var r parkedRun
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			return runs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("hookyard parked -o json: %w", err)
		}
		runs = append(runs, r)
	}
}

// parkedKey tells one park of a step from the next.
type parkedKey struct {
	workflowID, step string
	since            time.Time
}

func (r parkedRun) mark(seen map[parkedKey]bool) {
	for _, s := range r.Steps {
		seen[parkedKey{r.WorkflowID, s.Name, s.Since.UTC()}] = true
	}
}

// unseen returns the runs with a step that was not seen parked before.
func unseen(runs []parkedRun, seen map[parkedKey]bool) []parkedRun {
	return slices.DeleteFunc(slices.Clone(runs), func(r parkedRun) bool {
		return !slices.ContainsFunc(r.Steps, func(s parkedStep) bool {
			return !seen[parkedKey{r.WorkflowID, s.Name, s.Since.UTC()}]
		})
	})
}

// causes are the faults that can have parked a step: those of the systems that
// it needs, which were there between its first attempt and its park.
func causes(s parkedStep, faults []Applied) []Kind {
	// around is how long a fault is still felt by a request that it hit, and
	// how far a Workflow's clock, which stands still while its task runs,
	// can be behind the step that runs in it.
	const around = attemptTimeout + time.Second
	found := map[Kind]bool{}
	for _, f := range faults {
		if f.Err == "" && f.Began.Before(s.Since.Add(around)) && f.Ended.Add(around).After(s.Started) && canPark(f.Fault, s) {
			found[f.Kind] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// canPark reports whether the fault hits something that the step needs. A
// worker that dies, or cannot tell Temporal that it is done, lets an attempt
// time out.
func canPark(f Fault, s parkedStep) bool {
	step, _, _ := strings.Cut(s.Name, "#")
	switch f.Target {
	case ledgerName:
		return step == "RecordPayment" || step == "SendReceipt" && f.Kind == DiskFull
	case downstreamName:
		return step == "ForwardEvent" || step == "TriggerBuild"
	}
	for i := range workers {
		switch f.Target {
		case link(workerName(i), downstreamName):
			return step == "ForwardEvent" || step == "TriggerBuild"
		case link(workerName(i), databaseName):
			return step == "RecordPayment"
		case workerName(i), link(workerName(i), temporalName):
			return s.Reason == "timeout"
		}
	}
	return s.Reason == "timeout" && (f.Target == temporalName || f.Target == link(temporalName, databaseName))
}

// ParkedGroup is a number of parked steps that have the same explanation.
type ParkedGroup struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
	Causes []Kind `json:"causes"` // none: nothing explains it
	Count  int    `json:"count"`
	// Example is a run of them, and Error what it says.
	Example string `json:"example"`
	Error   string `json:"error"`
}

// explain groups parked runs by what they are parked for.
func explain(runs []parkedRun, faults []Applied) []ParkedGroup {
	groups := map[string]*ParkedGroup{}
	for _, r := range runs {
		for _, s := range r.Steps {
			because := causes(s, faults)
			key := fmt.Sprint(s.Name, s.Reason, because)
			if groups[key] == nil {
				groups[key] = &ParkedGroup{Step: s.Name, Reason: s.Reason, Causes: because, Example: r.WorkflowID, Error: s.Error}
			}
			groups[key].Count++
		}
	}
	var sorted []ParkedGroup
	for _, g := range groups {
		sorted = append(sorted, *g)
	}
	slices.SortFunc(sorted, func(a, b ParkedGroup) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), b.Count-a.Count, cmp.Compare(a.Example, b.Example))
	})
	return sorted
}
