package activities_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/tests/peers"
)

// A worker registers every exported method, and refuses two of one name.
func TestExportedMethodsAreTheActivities(t *testing.T) {
	t.Parallel()
	var names []string
	for _, system := range []any{&activities.Build{}, &activities.Ledger{}, &activities.Mail{}} {
		for method := range reflect.TypeOf(system).Methods() {
			names = append(names, method.Name)
		}
	}
	require.Empty(t, cmp.Diff([]string{"TriggerBuild", "RecordOrder", "RecordPayment", "SendReceipt"}, names))
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
			failure := peers.RequireFailure(t, peers.RunActivity(t, tt.activity, tt.arg), activities.NotConfigured)
			require.Contains(t, failure.Message(), tt.says)
			require.NotContains(t, failure.Message(), "secret")
		})
	}
}
