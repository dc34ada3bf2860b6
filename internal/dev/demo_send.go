package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/send"
)

// demoTenant owns the demo's endpoint.
const demoTenant = "demo"

// demoPath is where the demo's service takes what is published.
const demoPath = "/events"

// demoKey is the file of the endpoint's key, by which the demo's service verifies.
func demoKey(home command.Folders) string { return filepath.Join(home.Demo(), "secrets", "endpoint") }

// listenForSending takes the usual address of the sending API, or any free port
// of loopback where another program has that one.
func listenForSending(ctx context.Context) (net.Listener, error) {
	if l, err := command.Listen(ctx, "127.0.0.1:8082", "nothing: another port is taken"); err == nil {
		return l, nil
	}
	return command.Listen(ctx, "127.0.0.1:0", "nothing: it is a free port")
}

// registerDemo registers the demo's service as the endpoint of its tenant. In a
// later run the service has another port, so the endpoint gets another URL.
func registerDemo(ctx context.Context, set *command.Setting, home command.Folders, api, service string) error {
	c := &send.Client{URL: "http://" + api, Key: set.Send.Keys[0].Reveal()}
	settings := map[string]any{"url": "http://" + service + demoPath, "events": []string{"*", "endpoint.*"}, "description": "the demo's own service"}
	var there struct {
		Data []struct{ ID string }
	}
	if err := c.Call(ctx, http.MethodGet, "/v1/endpoints?"+url.Values{"tenant": {demoTenant}}.Encode(), nil, &there); err != nil {
		return err
	}
	var e struct{ ID string }
	method, path := http.MethodPatch, "/v1/endpoints/"
	if len(there.Data) > 0 {
		path += there.Data[0].ID
	} else {
		method, path = http.MethodPost, "/v1/endpoints"
		settings["tenant"] = demoTenant
	}
	if err := c.Call(ctx, method, path, settings, &e); err != nil {
		return err
	}
	var secret struct{ Keys map[string]string }
	if err := c.Call(ctx, http.MethodGet, "/v1/endpoints/"+e.ID+"/secret", nil, &secret); err != nil {
		return err
	}
	return os.WriteFile(demoKey(home), []byte(secret.Keys["v1"]+"\n"), 0o600)
}

// demoChallenge answers the challenge of an endpoint, and reports whether a
// request is one.
func demoChallenge(w http.ResponseWriter, r *http.Request, body []byte) bool {
	var challenge struct {
		Type string
		Data struct{ Challenge string }
	}
	if r.URL.Path != demoPath || json.Unmarshal(body, &challenge) != nil || challenge.Type != "endpoint.verification" {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"challenge": challenge.Data.Challenge}) // the caller has gone
	return true
}

// publishLine publishes an event to the demo's endpoint.
func publishLine(home command.Folders, api string) string {
	return fmt.Sprintf(`curl --json '{"tenant": "%s", "type": "invoice.paid", "data": {"amount": 5}}' -H "Authorization: Bearer $(cat '%s')" http://%s/v1/events`,
		demoTenant, filepath.Join(home.Demo(), "secrets", "send"), api)
}
