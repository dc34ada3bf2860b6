package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// writes counts what was written to Temporal's store, by operation.
type writes map[string]float64

// isWrite tells the operations of a namespace that make something durable.
// What the server does for itself, such as moving its own cursors, is booked
// on no namespace, or does not grow with the events one by one.
func isWrite(operation string) bool {
	switch operation {
	case "CreateWorkflowExecution", "UpdateWorkflowExecution", "ConflictResolveWorkflowExecution",
		"RecordWorkflowExecutionStarted", "RecordWorkflowExecutionClosed", "UpsertWorkflowExecution":
		return true
	default:
		return false
	}
}

// stillFor is how many seconds the counters must stand still to be believed.
const stillFor = 4

// settled reads the counters once they stand still: the server publishes them
// every second, and writes what lists are made of a moment after the run.
func (s *session) settled(ctx context.Context) (writes, error) {
	if s.MetricsURL == "" {
		return nil, nil
	}
	var last writes
	still := 0
	err := eventually(ctx, time.Minute, time.Second, "the server's counters stand still", func(ctx context.Context) (bool, error) {
		now, err := s.readWrites(ctx)
		if err != nil {
			return false, err
		}
		if !maps.Equal(last, now) {
			still = 0
		}
		last = now
		still++
		return still > stillFor, nil
	})
	return last, err
}

func (s *session) readWrites(ctx context.Context) (writes, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.MetricsURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server's metrics: %w; is --metrics right?", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server's metrics at %s: answered %s; is --metrics right?", s.MetricsURL, resp.Status)
	}
	return parseWrites(io.LimitReader(resp.Body, 64<<20), s.Client.Namespace)
}

// parseWrites sums persistence_requests of the namespace, and those of lists,
// which carry no namespace, by operation.
func parseWrites(r io.Reader, namespace string) (writes, error) {
	found := writes{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), "{")
		switch name {
		case "persistence_requests", "persistence_requests_total":
			if label(rest, "namespace") != namespace {
				continue
			}
		case "visibility_persistence_requests", "visibility_persistence_requests_total":
		default:
			continue
		}
		operation := label(rest, "operation")
		if !isWrite(operation) {
			continue
		}
		_, value, _ := strings.Cut(rest[strings.LastIndexByte(rest, '}')+1:], " ")
		value, _, _ = strings.Cut(value, " ") // a timestamp may follow
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("the server's metrics: %q is not a number", value)
		}
		found[operation] += n
	}
	return found, lines.Err()
}

// label finds a label's value, which in these metrics holds no quotes.
func label(labels, name string) string {
	for _, start := range []string{name + `="`, `,` + name + `="`} {
		if i := strings.Index(labels, start); i == 0 || i > 0 && start[0] == ',' {
			value, _, _ := strings.Cut(labels[i+len(start):], `"`)
			return value
		}
	}
	return ""
}

// since returns what was written between two readings, for each event.
func (w writes) since(before writes, events int) map[string]float64 {
	if w == nil {
		return nil
	}
	each := map[string]float64{}
	for operation, n := range w {
		if written := n - before[operation]; written > 0 {
			each[operation] = written / float64(events)
		}
	}
	return each
}
