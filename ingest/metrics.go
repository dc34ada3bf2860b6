package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics counts and measures deliveries. Label values are names from the config
// and our own words, never a sender's: a stranger must not be able to create
// series.
type metrics struct {
	deliveries      metric.Int64Counter
	whole           metric.Float64Histogram
	verify          metric.Float64Histogram
	start           metric.Float64Histogram
	body            metric.Int64Histogram
	inFlight        metric.Int64UpDownCounter
	shared          metric.Int64Counter
	becameSeries    memo[became, []metric.AddOption]
	wholeSeries     memo[wholeLabels, []metric.RecordOption]
	startSeries     memo[startLabels, []metric.RecordOption]
	sourceSeries    memo[string, []metric.RecordOption]
	lastDeliverySec memo[string, *atomic.Int64] // when one last verified, in Unix seconds
}

// became holds the label values of one delivery.
type became struct {
	source, provider string
	outcome          outcome
	reason           reason
	status           int
}

type wholeLabels struct {
	source  string
	outcome outcome
}

type startLabels struct{ source, result string }

// declined is the outcome of every refused delivery.
const declined outcome = "refused"

// seconds are histogram bounds: from less than a signature check takes to more
// than a provider waits.
var seconds = metric.WithExplicitBucketBoundaries(.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20)

// newMetrics creates the instruments. sources returns the sources of the current
// config. The last delivery of a source that was removed is no longer reported.
func newMetrics(meter metric.Meter, sources func() map[string]*Source, logger *slog.Logger) *metrics {
	m := &metrics{
		becameSeries: memo[became, []metric.AddOption]{of: func(b became) []metric.AddOption {
			return []metric.AddOption{labels(
				attribute.String("source", b.source), attribute.String("provider", b.provider), attribute.String("outcome", string(b.outcome)),
				attribute.String("reason", string(b.reason)), attribute.Int("status", b.status))}
		}},
		wholeSeries: memo[wholeLabels, []metric.RecordOption]{of: func(l wholeLabels) []metric.RecordOption {
			return []metric.RecordOption{labels(attribute.String("source", l.source), attribute.String("outcome", string(l.outcome)))}
		}},
		startSeries: memo[startLabels, []metric.RecordOption]{of: func(l startLabels) []metric.RecordOption {
			return []metric.RecordOption{labels(attribute.String("source", l.source), attribute.String("result", l.result))}
		}},
		sourceSeries: memo[string, []metric.RecordOption]{of: func(source string) []metric.RecordOption {
			return []metric.RecordOption{labels(attribute.String("source", source))}
		}},
		lastDeliverySec: memo[string, *atomic.Int64]{of: func(string) *atomic.Int64 { return &atomic.Int64{} }},
	}
	var errs [9]error
	m.deliveries, errs[0] = meter.Int64Counter("hookyard_deliveries_total",
		metric.WithDescription("Requests to /webhooks/, by what became of them. source is empty where there is no such source."))
	m.whole, errs[1] = meter.Float64Histogram("hookyard_delivery_seconds", metric.WithUnit("s"), seconds,
		metric.WithDescription("From a delivery's first byte to its answer."))
	m.verify, errs[2] = meter.Float64Histogram("hookyard_verify_seconds", metric.WithUnit("s"), seconds,
		metric.WithDescription("Checking a delivery's signature, keys that have to be fetched included."))
	m.start, errs[3] = meter.Float64Histogram("hookyard_start_seconds", metric.WithUnit("s"), seconds,
		metric.WithDescription("Having Temporal store one event."))
	m.body, errs[4] = meter.Int64Histogram("hookyard_body_bytes", metric.WithUnit("By"),
		metric.WithExplicitBucketBoundaries(256, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 2<<20),
		metric.WithDescription("The size of the bodies that were read."))
	m.inFlight, errs[5] = meter.Int64UpDownCounter("hookyard_deliveries_in_flight",
		metric.WithDescription("Deliveries that have no answer yet."))
	last, err := meter.Int64ObservableGauge("hookyard_last_delivery_timestamp_seconds", metric.WithUnit("s"),
		metric.WithDescription("When a delivery of this source last verified here, in Unix time. Absent until one has."))
	errs[6] = err
	_, errs[7] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.lastDeliverySec.each(func(source string, at *atomic.Int64) {
			if sources()[source] != nil {
				o.ObserveInt64(last, at.Load(), metric.WithAttributes(attribute.String("source", source)))
			}
		})
		return nil
	}, last)
	m.shared, errs[8] = meter.Int64Counter("hookyard_shared_ids_total",
		metric.WithDescription("Events whose id another event of the same delivery has, by whether the bytes are equal (stored once) or different (both stored)."))
	if err := errors.Join(errs[:]...); err != nil {
		// The instrument can still be used; it records nothing.
		logger.Error("metrics cannot be kept", "err", err)
	}
	return m
}

func labels(all ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(all...))
}

// answered counts a delivery that was answered.
func (m *metrics) answered(ctx context.Context, rec *record) {
	b := became{rec.source, rec.provider, rec.outcome, rec.reason, rec.status}
	if rec.outcome == rebuffed {
		b.outcome, b.reason = declined, reason(rebuffed)
	}
	m.deliveries.Add(ctx, 1, m.becameSeries.get(b)...)
	m.whole.Record(ctx, time.Since(rec.started).Seconds(), m.wholeSeries.get(wholeLabels{b.source, b.outcome})...)
}

// read records the size of a body.
func (m *metrics) read(ctx context.Context, source *Source, size int) {
	m.body.Record(ctx, int64(size), m.sourceSeries.get(source.name)...)
}

// verified records how long a signature check took, and when one last passed.
func (m *metrics) verified(ctx context.Context, source *Source, started time.Time, err error) {
	now := time.Now()
	m.verify.Record(ctx, now.Sub(started).Seconds(), m.sourceSeries.get(source.name)...)
	if err == nil {
		m.lastDeliverySec.get(source.name).Store(now.Unix())
	}
}

// sharedIDs counts events of a delivery whose id another event of it has.
func (m *metrics) sharedIDs(ctx context.Context, source *Source, same, different int) {
	for kind, n := range map[string]int{"equal": same, "different": different} {
		if n > 0 {
			m.shared.Add(ctx, int64(n), metric.WithAttributes(attribute.String("source", source.name), attribute.String("bytes", kind)))
		}
	}
}

// started records how long a start took, and its result.
func (m *metrics) started(ctx context.Context, source *Source, since time.Time, err error) {
	m.start.Record(ctx, time.Since(since).Seconds(), m.startSeries.get(startLabels{source.name, startResult(err)})...)
}

func startResult(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, ErrDuplicate):
		return "duplicate"
	case errors.Is(err, ErrTooLarge):
		return "too-large"
	default:
		return "failed"
	}
}

// memo creates a value once per key and keeps it. Creating a set of labels
// allocates memory; using a kept one does not.
type memo[K comparable, V any] struct {
	of   func(K) V
	mu   sync.RWMutex
	made map[K]V
}

func (m *memo[K, V]) get(k K) V {
	m.mu.RLock()
	v, ok := m.made[k]
	m.mu.RUnlock()
	if ok {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok = m.made[k]; !ok {
		if m.made == nil {
			m.made = map[K]V{}
		}
		v = m.of(k)
		m.made[k] = v
	}
	return v
}

func (m *memo[K, V]) each(f func(K, V)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for k, v := range m.made {
		f(k, v)
	}
}
