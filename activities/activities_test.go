package activities_test

import (
	"log/slog"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/activities"
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
// unless the type is Unavailable, and returns it.
func requireFailure(t *testing.T, err error, kind string) *temporal.ApplicationError {
	t.Helper()
	var failure *temporal.ApplicationError
	require.ErrorAs(t, err, &failure, "want an ApplicationError, got %v", err)
	require.Equal(t, kind, failure.Type(), failure.Message())
	require.Equal(t, kind != activities.Unavailable, failure.NonRetryable(), failure.Message())
	return failure
}

// A worker registers every exported method, and refuses two of one name.
func TestExportedMethodsAreTheActivities(t *testing.T) {
	t.Parallel()
	var names []string
	for _, system := range []any{&activities.Build{}, &activities.Ledger{}, &activities.Mail{}} {
		for method := range reflect.TypeOf(system).Methods() {
			names = append(names, method.Name)
		}
	}
	require.Equal(t, []string{"TriggerBuild", "RecordOrder", "RecordPayment", "SendReceipt"}, names)
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		activity any
		arg      any
		says     string
	}{
		{"no ledger", (&activities.Ledger{}).RecordPayment, activities.Payment{Key: "k"}, "set ledger.sqlite or ledger.postgres"},
		{"nil ledger", (*activities.Ledger)(nil).RecordOrder, activities.Order{Key: "k", Total: "1"}, "set ledger.sqlite or ledger.postgres"},
		{"no mail", (&activities.Mail{}).SendReceipt, activities.Receipt{Key: "k"}, "set mail.smtp or mail.folder"},
		{"nil mail", (*activities.Mail)(nil).SendReceipt, activities.Receipt{Key: "k"}, "set mail.smtp or mail.folder"},
		{"no build server", (&activities.Build{}).TriggerBuild, activities.BuildRequest{Key: "k"}, "set app.build.url"},
		{"nil build server", (*activities.Build)(nil).TriggerBuild, activities.BuildRequest{Key: "k"}, "set app.build.url"},
		{"a build URL without a host", (&activities.Build{URL: "http:///secret"}).TriggerBuild, activities.BuildRequest{Key: "k"}, "app.build.url is not an http or https URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			failure := requireFailure(t, run(t, tt.activity, tt.arg), activities.NotConfigured)
			require.Contains(t, failure.Message(), tt.says)
			require.NotContains(t, failure.Message(), "secret")
		})
	}
}
