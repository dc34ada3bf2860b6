package peers

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

// RunActivity runs the Activity as a worker would, with its arguments and its
// error going through the data converter.
func RunActivity(t *testing.T, activity any, args ...any) error {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(activity)
	_, err := env.ExecuteActivity(activity, args...)
	return err
}

// RequireFailure requires an error of the given type, which is permanent unless
// the type is "Unavailable", and returns it.
func RequireFailure(t *testing.T, err error, kind string) *temporal.ApplicationError {
	t.Helper()
	var failure *temporal.ApplicationError
	require.ErrorAs(t, err, &failure, "want an ApplicationError, got %v", err)
	require.Equal(t, kind, failure.Type(), failure.Message())
	require.Equal(t, kind != "Unavailable", failure.NonRetryable(), failure.Message())
	return failure
}
