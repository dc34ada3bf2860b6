package sweep

import (
	"errors"
	"maps"
	"slices"

	"go.temporal.io/sdk/temporal"
)

// sorted are the keys of a map in an order that a replay has, too.
func sorted(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// reason is why an Activity failed, without what the SDK wraps around it.
func reason(err error) string {
	if said, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return said.Message()
	}
	return err.Error()
}
