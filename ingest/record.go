package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/hookyard/hookyard/event"
)

// record collects what the log line, the metrics and the span of one delivery
// say about it.
type record struct {
	started          time.Time
	outcome          outcome
	reason           reason // of a refused delivery
	status           int    // of the answer
	read             bool   // the body has been read
	source, provider string
	eventID          string
	eventType        string
	workflowID       string
	batch            map[outcome]int // events per outcome; nil where the delivery has one event
}

func (rec *record) event(ev event.Event) {
	rec.eventID, rec.eventType, rec.workflowID = ev.ID, ev.Type, ev.WorkflowID()
}

func (rec *record) declined(why reason, status int) {
	rec.outcome, rec.reason, rec.status = declined, why, status
}

func (rec *record) count(outcomes []outcome) {
	rec.batch = map[outcome]int{}
	for _, o := range outcomes {
		rec.batch[o]++
	}
}

// log writes the log line of a delivery.
func (s *Server) log(r *http.Request, level slog.Level, rec *record, more ...slog.Attr) {
	if !s.logger.Enabled(r.Context(), level) {
		return
	}
	attributes := append(make([]slog.Attr, 0, 10), slog.String("source", rec.source), slog.String("provider", rec.provider))
	if rec.workflowID != "" {
		attributes = append(attributes, slog.String("event_id", rec.eventID), slog.String("event_type", rec.eventType), slog.String("workflow_id", rec.workflowID))
	}
	for _, o := range []outcome{accepted, journaled, duplicate, ignored, failed} {
		if rec.batch[o] > 0 {
			attributes = append(attributes, slog.Int("events_"+string(o), rec.batch[o]))
		}
	}
	if span := trace.SpanContextFromContext(r.Context()); span.IsValid() {
		attributes = append(attributes, slog.String("trace_id", span.TraceID().String()))
	}
	attributes = append(attributes, slog.Duration("took", time.Since(rec.started)))
	s.logger.LogAttrs(r.Context(), level, "delivery", append(attributes, more...)...)
}

// tag writes what is known of a delivery onto its span. It does nothing where
// there is no span.
func (rec *record) tag(ctx context.Context) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	for key, value := range map[string]string{
		"hookyard.source": rec.source, "hookyard.provider": rec.provider, "hookyard.outcome": string(rec.outcome), "hookyard.reason": string(rec.reason),
		"hookyard.event_id": rec.eventID, "hookyard.event_type": rec.eventType, "hookyard.workflow_id": rec.workflowID,
	} {
		if value != "" {
			span.SetAttributes(attribute.String(key, value))
		}
	}
}
