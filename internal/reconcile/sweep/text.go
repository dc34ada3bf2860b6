package sweep

import (
	"errors"

	"go.temporal.io/sdk/temporal"
)

// reason is why an Activity failed, without what the SDK wraps around it.
func reason(err error) string {
	if said, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return said.Message()
	}
	return err.Error()
}
