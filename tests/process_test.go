package tests

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// startTemporal runs a dev server with its Web UI, on a file if one is given.
func startTemporal(t *testing.T, file string) *harness.TestTemporal {
	return harness.StartTemporal(t, harness.DevServer{Program: programs.DevServer, File: file, UI: true})
}

// get returns the status of a GET, 0 where nothing answers.
func get(t *testing.T, url string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// acceptEverything runs a service that answers 200 and returns its URL.
func acceptEverything(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	return s.URL
}
