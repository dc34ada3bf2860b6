//go:build !linux && !darwin

package journal

import "math"

// freeRoom is not known here: whoever writes finds out.
func freeRoom(string) (int64, error) { return math.MaxInt64, nil }
