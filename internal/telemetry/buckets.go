package telemetry

import sdkmetric "go.opentelemetry.io/otel/sdk/metric"

// The bounds of histograms that cannot say them where they are made, because
// Temporal's SDK makes them; in seconds. OpenTelemetry's default is meant for
// milliseconds.
var (
	// callSeconds are for requests and for waits in a Task Queue.
	callSeconds = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300}
	// eventSeconds are from the delivery to the completed run, which may wait
	// for a person for days.
	eventSeconds = []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}
)

// views give those histograms their bounds.
func views() []sdkmetric.View {
	bounds := func(name string, seconds []float64) sdkmetric.View {
		return sdkmetric.NewView(
			sdkmetric.Instrument{Name: name, Kind: sdkmetric.InstrumentKindHistogram},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: seconds}})
	}
	return []sdkmetric.View{
		bounds("temporal_*", callSeconds), bounds("hookyard_event_seconds", eventSeconds),
		bounds("hookyard_send_attempt_seconds", callSeconds), bounds("hookyard_send_delivery_seconds", eventSeconds),
	}
}
