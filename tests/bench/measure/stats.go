package measure

import (
	"slices"
	"time"
)

// median returns the middle of the values, or the mean of the middle two; 0
// where there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the least of the durations that so many thousandths of
// them do not exceed, in milliseconds. It sorts them.
func percentile(durations []time.Duration, thousandths int) float64 {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	rank := (len(durations)*thousandths + 999) / 1000
	return milliseconds(durations[max(rank, 1)-1])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ratio is 0 where there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return ratio(sum, float64(len(values)))
}
