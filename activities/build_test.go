package activities_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/tests/peers"
)

func TestTriggerBuild(t *testing.T) {
	t.Parallel()
	in := peers.NewInbox(t, peers.Accept)
	b := &activities.Build{URL: in.URL + "/build", Token: "t0ken"}
	require.NoError(t, peers.RunActivity(t, b.TriggerBuild, activities.BuildRequest{
		Key: "github:1:TriggerBuild", Repository: "acme/shop", Ref: "refs/heads/main",
		Commit: "6113728f27ae82c7b1a177c8d03f9e96e0adf246", Pusher: "ada",
	}))
	req, body := in.Only(t)
	require.Equal(t, "POST /build", req.Method+" "+req.URL.Path)
	require.Equal(t, "Bearer t0ken", req.Header.Get("Authorization"))
	require.Equal(t, "github:1:TriggerBuild", req.Header.Get("Idempotency-Key"))
	require.Equal(t, "application/json", req.Header.Get("Content-Type"))
	require.JSONEq(t, `{"repository": "acme/shop", "ref": "refs/heads/main",
		"commit": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "pusher": "ada"}`, string(body))
}

func TestTriggerBuildFailures(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]string{
		http.StatusServiceUnavailable: activities.Unavailable,
		http.StatusUnauthorized:       activities.Refused,
		http.StatusFound:              activities.Refused,
	} {
		in := peers.NewInbox(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/")
			w.WriteHeader(status)
		})
		b := &activities.Build{URL: in.URL, Token: "t0ken"}
		failure := peers.RequireFailure(t, peers.RunActivity(t, b.TriggerBuild, activities.BuildRequest{Key: "k"}), kind)
		require.NotContains(t, failure.Message(), "t0ken")
		in.Only(t)
	}

	in := peers.NewInbox(t, peers.Accept)
	peers.RequireFailure(t, peers.RunActivity(t, (&activities.Build{URL: in.URL}).TriggerBuild, activities.BuildRequest{}), activities.MissingKey)
	requests, _ := in.Requests()
	require.Empty(t, requests)
	require.NoError(t, peers.RunActivity(t, (&activities.Build{URL: in.URL}).TriggerBuild, activities.BuildRequest{Key: "k"}))
	req, _ := in.Only(t)
	require.NotContains(t, req.Header, "Authorization")
}
