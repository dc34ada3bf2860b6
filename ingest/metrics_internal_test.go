package ingest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// TestMetricsCostNoMemory sees that a delivery of a kind that was seen before
// is counted without an allocation.
func TestMetricsCostNoMemory(t *testing.T) { //nolint:paralleltest // it counts allocations
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("")
	m := newMetrics(meter, func() map[string]*Source { return nil }, slog.New(slog.DiscardHandler))
	ctx, source, now := context.Background(), &Source{name: "stripe"}, time.Now()
	n := &record{started: now, source: "stripe", provider: "stripe", outcome: accepted, status: 200}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.inFlight.Add(ctx, 1)
		m.read(ctx, source, 2048)
		m.verified(ctx, source, now, nil)
		m.started(ctx, source, now, nil)
		m.inFlight.Add(ctx, -1)
		m.answered(ctx, n)
		n.tag(ctx)
	}))
}

// TestLastDelivery sees that only verified deliveries count, and none of a
// source that the config no longer has.
func TestLastDelivery(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("")
	sources := map[string]*Source{"here": {}, "forged": {}}
	m := newMetrics(meter, func() map[string]*Source { return sources }, slog.New(slog.DiscardHandler))
	before := time.Now().Unix()
	for name, err := range map[string]error{"here": nil, "gone": nil, "forged": ErrTooLarge} {
		m.verified(t.Context(), &Source{name: name}, time.Now(), err)
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	for _, metric := range all.ScopeMetrics[0].Metrics {
		if metric.Name != "hookyard_last_delivery_timestamp_seconds" {
			continue
		}
		gauge, ok := metric.Data.(metricdata.Gauge[int64])
		require.True(t, ok)
		points := gauge.DataPoints
		require.Len(t, points, 1)
		source, _ := points[0].Attributes.Value("source")
		require.Equal(t, "here", source.AsString())
		require.GreaterOrEqual(t, points[0].Value, before)
		return
	}
	require.Fail(t, "there is no such metric")
}
