package alert_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/internal/worker/failure"
)

// run runs the Activity as a worker would, with its arguments and its error
// going through the data converter.
func run(t *testing.T, activity any, args ...any) error {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(activity)
	_, err := env.ExecuteActivity(activity, args...)
	return err
}

// requireFailure requires an error of the given type, which is permanent
// unless the type is Unavailable.
func requireFailure(t *testing.T, err error, kind string) {
	t.Helper()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed, "want an ApplicationError, got %v", err)
	require.Equal(t, kind, failed.Type(), failed.Message())
	require.Equal(t, kind != failure.TypeUnavailable, failed.NonRetryable(), failed.Message())
}
