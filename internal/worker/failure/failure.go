// Package failure makes the errors of Hookyard's own Activities.
package failure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.temporal.io/sdk/temporal"
)

// The types of the errors, as the Web UI shows them and as
// temporal.ApplicationError.Type gives them to a Workflow. Histories hold
// them: one may be added and none renamed. All but TypeUnavailable are permanent.
const (
	// TypeUnavailable is no answer, or one that says to come back later.
	TypeUnavailable = "Unavailable"
	// TypeRefused is an answer that will be the same next time.
	TypeRefused = "Refused"
	// TypeNotConfigured is a step that the operator has given no settings for.
	TypeNotConfigured = "NotConfigured"
	// TypeBadPayload is an event whose payload is not kept as plain bytes.
	TypeBadPayload = "BadPayload"
)

// Permanent returns an error that no Retry Policy retries. It carries no
// cause: a cause would be stored in the history with whatever it says, and
// errors of clients like to quote their URL.
func Permanent(kind, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), kind, nil)
}

// Unavailable returns an error that the Retry Policy decides on. The next
// attempt comes after the given delay, or when the policy says if it is zero.
// Where the Activity was canceled it returns that instead: the failure is then
// ours and says nothing about the other system.
func Unavailable(ctx context.Context, after time.Duration, format string, args ...any) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf(format, args...), TypeUnavailable,
		temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

// Printable returns at most limit bytes of what another system said, on one
// line: runs of anything that does not print become one space.
func Printable(said string, limit int) string {
	said = said[:min(len(said), limit)]
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(said, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}
