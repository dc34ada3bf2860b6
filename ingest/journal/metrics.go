package journal

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/hookyard/hookyard/ingest"
)

// metrics counts and measures the journal. Labels are names from the config and
// words of our own.
type metrics struct {
	appends  metric.Float64Histogram
	batches  metric.Int64Histogram
	drains   metric.Float64Histogram
	aside    metric.Int64Counter
	refusals metric.Int64Counter
	damages  metric.Int64Counter
	depths   atomic.Pointer[[]Depth]
}

func newMetrics(meter metric.Meter, j *Journal) (*metrics, error) {
	if meter == nil {
		meter = noop.NewMeterProvider().Meter("")
	}
	m := &metrics{}
	var errs [11]error
	m.appends, errs[0] = meter.Float64Histogram("hookyard_journal_append_seconds", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10),
		metric.WithDescription("Committing one batch of events to the journal, synced, by its result."))
	m.batches, errs[1] = meter.Int64Histogram("hookyard_journal_batch_events",
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
		metric.WithDescription("Events in one commit of the journal."))
	m.drains, errs[2] = meter.Float64Histogram("hookyard_journal_drain_seconds", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10),
		metric.WithDescription("Starting one event of the journal, by source and result: accepted or duplicate."))
	m.aside, errs[3] = meter.Int64Counter("hookyard_journal_set_aside_total",
		metric.WithDescription("Records that the drain did not start, by source and reason."))
	m.refusals, errs[4] = meter.Int64Counter("hookyard_journal_refused_total",
		metric.WithDescription("Events that the journal did not take, by source and why: full, failed or slow."))
	m.damages, errs[5] = meter.Int64Counter("hookyard_journal_damaged_files_total",
		metric.WithDescription("Damaged files that were moved aside."))
	records, err := meter.Int64ObservableGauge("hookyard_journal_events",
		metric.WithDescription("Events in the journal that Temporal does not have yet, by source."))
	errs[6] = err
	bytes, err := meter.Int64ObservableGauge("hookyard_journal_event_bytes", metric.WithUnit("By"),
		metric.WithDescription("Their headers and payloads."))
	errs[7] = err
	oldest, err := meter.Float64ObservableGauge("hookyard_journal_oldest_seconds", metric.WithUnit("s"),
		metric.WithDescription("For how long the first of them has waited, by source; 0 where there is none."))
	errs[8] = err
	waiting, err := meter.Int64ObservableGauge("hookyard_journal_set_aside_events",
		metric.WithDescription("Records that were set aside and wait for a person, by source."))
	errs[9] = err
	used, err := meter.Float64ObservableGauge("hookyard_journal_used_ratio",
		metric.WithDescription("How much of max_size is taken; events are refused from 0.9 on."))
	errs[10] = err
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if j.o.MaxSize > 0 {
			o.ObserveFloat64(used, float64(j.fill.used.Load())/float64(j.o.MaxSize))
		}
		depths := m.depths.Load()
		if depths == nil {
			return nil
		}
		for _, d := range *depths {
			of := metric.WithAttributes(sourceLabel(d.Source))
			o.ObserveInt64(records, d.Records, of)
			o.ObserveInt64(bytes, d.Bytes, of)
			o.ObserveInt64(waiting, d.SetAside, of)
			var age float64
			if !d.Oldest.IsZero() {
				age = max(0, j.o.Now().Sub(d.Oldest).Seconds())
			}
			o.ObserveFloat64(oldest, age, of)
		}
		return nil
	}, records, bytes, oldest, waiting, used)
	return m, errors.Join(append(errs[:], err)...)
}

func (m *metrics) appended(ctx context.Context, took time.Duration, events int, err error) {
	result := "stored"
	if err != nil {
		result = "failed"
	}
	m.appends.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("result", result)))
	m.batches.Record(ctx, int64(events))
}

func (m *metrics) drained(ctx context.Context, source string, err error, took time.Duration) {
	result := "accepted"
	if errors.Is(err, ingest.ErrDuplicate) {
		result = "duplicate"
	}
	m.drains.Record(ctx, took.Seconds(), metric.WithAttributes(sourceLabel(source), attribute.String("result", result)))
}

func (m *metrics) setAside(ctx context.Context, source, reason string) {
	m.aside.Add(ctx, 1, metric.WithAttributes(sourceLabel(source), attribute.String("reason", reason)))
}

func (m *metrics) refusedEvent(ctx context.Context, source, why string) {
	m.refusals.Add(ctx, 1, metric.WithAttributes(sourceLabel(source), attribute.String("why", why)))
}

// sourceLabel labels with a source, whose name may come from a damaged record.
func sourceLabel(name string) attribute.KeyValue {
	return attribute.String("source", strings.ToValidUTF8(name, "?"))
}

func (m *metrics) damaged(ctx context.Context) { m.damages.Add(ctx, 1) }

// depthEvery is how often the depths are read.
const depthEvery = 5 * time.Second

// measure keeps the depths, until ctx ends. A source that has drained stays, with
// zeros, so that its gauges do not vanish at their last value.
func (j *Journal) measure(ctx context.Context) {
	j.metrics.damages.Add(ctx, 0) // so that the first one is an increase
	tick := time.NewTicker(depthEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if t := j.tables.Load(); t != nil {
			j.fill.refresh(ctx, t)
			if now, err := t.Depths(ctx); err == nil {
				j.metrics.keep(now)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (m *metrics) keep(now []Depth) {
	if before := m.depths.Load(); before != nil {
		for _, d := range *before {
			if !containsSource(now, d.Source) {
				now = append(now, Depth{Source: d.Source})
			}
		}
	}
	m.depths.Store(&now)
}

func containsSource(depths []Depth, source string) bool {
	for _, d := range depths {
		if d.Source == source {
			return true
		}
	}
	return false
}
