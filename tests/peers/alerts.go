package peers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// AlertInbox starts a service that takes alerts and keeps their texts. It returns
// a notification URL, with "t0ken" in it, and the texts.
func AlertInbox(t *testing.T) (address string, texts *[]string) {
	texts = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var posted struct{ Message string }
		if err := json.NewDecoder(r.Body).Decode(&posted); err == nil {
			*texts = append(*texts, posted.Message)
		}
	}))
	t.Cleanup(server.Close)
	return "generic+" + server.URL + "/t0ken?template=json", texts
}
