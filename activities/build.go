package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Build asks a build server to build what was pushed.
type Build struct {
	// URL takes the request, http or https.
	URL string
	// Token is sent as a bearer token; if empty, none is.
	Token string
	// HTTP is the client to send with; if nil, one with Go's defaults.
	HTTP *http.Client
}

// BuildRequest says what to build and why. Histories hold it: its JSON names
// may be added to and not changed.
type BuildRequest struct {
	// Key is Event.Key("TriggerBuild"). It is sent as a header.
	Key string `json:"key"`
	// Repository is its full name ("acme/shop").
	Repository string `json:"repository"`
	// Ref is what was pushed to ("refs/heads/main").
	Ref string `json:"ref"`
	// Commit is the hash that Ref points to after the push.
	Commit string `json:"commit"`
	// Pusher is who pushed; empty where the provider does not say.
	Pusher string `json:"pusher,omitempty"`
}

// TriggerBuild POSTs {"repository", "ref", "commit", "pusher"} to the build
// server, with the key as Idempotency-Key and the token as bearer token.
//
// It is idempotent under BuildRequest.Key as far as the build server honours
// that header: if an answer is lost, a second request follows.
//
// NotConfigured, MissingKey and Refused (a 3xx, or a 4xx other than 408, 425
// and 429) are permanent. Every other failure is Unavailable.
func (b *Build) TriggerBuild(ctx context.Context, r BuildRequest) error {
	if b == nil || b.URL == "" {
		return permanent(NotConfigured, "no build server is configured: set app.build.url")
	}
	if r.Key == "" {
		return permanent(MissingKey, "the build of %q has no key: set BuildRequest.Key to Event.Key(\"TriggerBuild\")", r.Repository)
	}
	body, err := json.Marshal(struct {
		Repository string `json:"repository"`
		Ref        string `json:"ref"`
		Commit     string `json:"commit"`
		Pusher     string `json:"pusher,omitempty"`
	}{r.Repository, r.Ref, r.Commit, r.Pusher})
	if err != nil {
		return permanent(Refused, "the build of %q cannot be written as JSON: %v", r.Repository, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URL, bytes.NewReader(body))
	if err != nil || request.URL.Host == "" {
		// The URL may hold a password, so the error does not quote it.
		return permanent(NotConfigured, "app.build.url is not an http or https URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", r.Key)
	if b.Token != "" {
		request.Header.Set("Authorization", "Bearer "+b.Token)
	}
	return b.send(request)
}

// send turns the build server's answer into the outcome of the Activity.
func (b *Build) send(request *http.Request) error {
	where := request.URL.Scheme + "://" + request.URL.Host
	// A redirect would carry the token to a host that nobody has configured.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if b.HTTP != nil {
		client.Transport = b.HTTP.Transport
	}
	response, err := client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the URL
	}
	if err != nil {
		return unavailable(request.Context(), "POST %s: %v", where, err)
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // the status alone decides
	message := fmt.Sprintf("POST %s: %s: %s", where, response.Status, printable(string(said), 512))
	switch code := response.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code/100 == 5:
		return unavailable(request.Context(), "%s", message)
	default:
		return permanent(Refused, "%s", message)
	}
}
