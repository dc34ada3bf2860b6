package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"go.temporal.io/sdk/temporal"
)

// The types of the errors that Activities return, as the Web UI shows them and
// as temporal.ApplicationError.Type gives them to a Workflow. Histories hold
// them: one may be added and none renamed. All but Unavailable are permanent.
const (
	// Unavailable is no answer, or one that says to come back later.
	Unavailable = "Unavailable"
	// Refused is an answer that will be the same next time.
	Refused = "Refused"
	// NotConfigured is a step that the operator has given no settings for.
	NotConfigured = "NotConfigured"
	// MissingKey is a step whose caller gave it no idempotency key.
	MissingKey = "MissingKey"
	// BadAddress is a receipt whose recipient is not one e-mail address.
	BadAddress = "BadAddress"
	// LedgerConflict is a key that the ledger holds with other contents.
	LedgerConflict = "LedgerConflict"
	// LedgerRejected is an entry that the ledger's rules do not allow.
	LedgerRejected = "LedgerRejected"
)

// permanent returns an error that no Retry Policy retries. It carries no
// cause, because a cause is stored in the history and the errors of many
// clients quote their URL.
func permanent(kind, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), kind, nil)
}

// unavailable returns an error that the Retry Policy decides on. If the Activity
// was canceled, it returns that error instead.
func unavailable(ctx context.Context, format string, args ...any) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return temporal.NewApplicationError(fmt.Sprintf(format, args...), Unavailable)
}

// printable returns at most limit bytes of what another system said, on one
// line: each run of characters that do not print becomes one space.
func printable(said string, limit int) string {
	said = said[:min(len(said), limit)]
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(said, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}
