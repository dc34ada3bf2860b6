package measure

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{1, 100, 3, 2}, 2.5},
	} {
		given := append([]float64{}, tt.values...)
		require.InDelta(t, tt.want, median(tt.values), 0, "%v", given)
		require.Len(t, tt.values, len(given))
		for i := range given {
			require.InDelta(t, given[i], tt.values[i], 0, "the values stay in their order")
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	thousand := make([]time.Duration, 1000)
	for i := range thousand {
		thousand[i] = time.Duration(1000-i) * time.Millisecond
	}
	for _, tt := range []struct {
		durations   []time.Duration
		thousandths int
		want        float64
	}{
		{nil, 990, 0},
		{[]time.Duration{time.Second}, 500, 1000},
		{[]time.Duration{time.Second}, 999, 1000},
		{thousand, 500, 500},
		{thousand, 990, 990},
		{thousand, 999, 999},
		{thousand[:10], 990, 10}, // sorted by then
	} {
		require.InDelta(t, tt.want, percentile(tt.durations, tt.thousandths), 0, "%d of %d", tt.thousandths, len(tt.durations))
	}
}

func TestSummarizeTakesRatiosWithinARound(t *testing.T) {
	t.Parallel()
	// One delivery takes that long; a machine that is ten times slower in
	// the second round is so for both.
	round := func(took time.Duration, cpu float64) edgeRound {
		return edgeRound{load: load{took, []time.Duration{took}, 1}, cpu: cpu}
	}
	rounds := []map[string]edgeRound{
		{edgeItself: round(11*time.Millisecond, 300), edgeBare: round(10*time.Millisecond, 250)},
		{edgeItself: round(110*time.Millisecond, 310), edgeBare: round(100*time.Millisecond, 260)},
		{edgeItself: round(12*time.Millisecond, 320), edgeBare: round(10*time.Millisecond, 240)},
	}
	f := summarize(edgeItself, 16, rounds)
	require.InDelta(t, 1/0.012, f.PerSecond, 1e-9)
	require.InDelta(t, 1/1.1, f.PerSecondOfBare, 1e-9)
	require.InDelta(t, 1.1, f.P99OfBare, 1e-9)
	require.InDelta(t, 12, f.P50, 1e-9)
	require.InDelta(t, 110, f.P999, 1e-9)
	require.InDelta(t, 310, f.CPU, 1e-9)
	require.EqualValues(t, 3, f.SentAgain)
	require.InDelta(t, 60, f.CPUBeyondBare, 1e-9)
	require.InDelta(t, 1, summarize(edgeBare, 16, rounds).PerSecondOfBare, 0)

	plain := []map[string]endToEndRound{{hookyardTwo: {perSecond: 50}, plainTwo: {perSecond: 20}, plainOne: {perSecond: 1}}}
	require.InDelta(t, 2.5, summarizeEndToEnd(hookyardTwo, plain, nil).PerSecondOfPlain, 0)
}

func TestRotated(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c"}
	require.Empty(t, cmp.Diff([]string{"a", "b", "c"}, rotated(all, 0)))
	require.Empty(t, cmp.Diff([]string{"c", "a", "b"}, rotated(all, 2)))
	require.Empty(t, cmp.Diff([]string{"b", "c", "a"}, rotated(all, 4)))
	require.Empty(t, cmp.Diff([]string{"a", "b", "c"}, all))
}

func TestQuarters(t *testing.T) {
	t.Parallel()
	series := func(values ...int64) []usage {
		var samples []usage
		for _, v := range values {
			samples = append(samples, usage{rss: v})
		}
		return samples
	}
	rss := func(u usage) int64 { return u.rss }
	q := quartersOf(series(10, 12, 11, 11, 10, 12, 12, 12), rss)
	require.Empty(t, cmp.Diff([4]float64{11, 11, 11, 12}, q.Means))
	require.True(t, q.Flat, "12 is within a tenth of 11")
	require.False(t, quartersOf(series(10, 11, 12, 13), rss).Flat)
	require.True(t, quartersOf(series(13, 10, 10, 10), rss).Flat, "less is flat")
	require.NotPanics(t, func() { quartersOf(series(1), rss) })
}
