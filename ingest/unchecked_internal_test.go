package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// unreachable is the host of a certificate that is away.
type unreachable struct{}

func (unreachable) Fetch(context.Context, string) ([]byte, error) {
	return nil, errors.New("no route to host")
}

// TestKeyNotThere is a delivery whose certificate cannot be fetched: it may be
// genuine, and its sender gives up after a 4xx.
func TestKeyNotThere(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	p, known := catalog.Lookup("aws-sns")
	require.True(t, known)
	sns, err := p.Bind(provider.Binding{Fetch: unreachable{}})
	require.NoError(t, err)
	s := New(Options{
		Sources: map[string]*Source{"sns": {Provider: sns, name: "sns", maxBody: 1 << 20}},
		Logger:  slog.New(slog.DiscardHandler),
	})
	for range 2 * maxFailures { // and neither is it refused for what strangers behind the same address do
		s.peers.failed(peerOf(peerAddress("192.0.2.1:1")), time.Now())
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/sns", strings.NewReader(`{
		"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": "m",
		"Timestamp": "`+time.Now().UTC().Format("2006-01-02T15:04:05.000Z")+`", "SignatureVersion": "2", "Signature": "AAAA",
		"SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"}`)))
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.Contains(t, w.Body.String(), string(notChecked))
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}
