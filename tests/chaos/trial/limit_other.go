//go:build !linux

package trial

import (
	"errors"
	"fmt"
)

// unlimited is no limit.
const unlimited = 1<<64 - 1

// limitFileSize says that the system cannot do it.
func limitFileSize(int, uint64) error {
	return fmt.Errorf("a full disk can be had on Linux only: %w", errors.ErrUnsupported)
}
