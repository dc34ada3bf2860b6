package activities

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
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
// that header: an answer that is lost on its way leads to a second request.
//
// Permanent are NotConfigured, MissingKey, and Refused (a redirect, or a 4xx
// other than 408, 425 and 429). Everything else is Unavailable, and
// Retry-After is obeyed for up to an hour.
func (b *Build) TriggerBuild(ctx context.Context, r BuildRequest) error {
	if b == nil || b.URL == "" {
		return permanent(NotConfigured, "no build server is configured: set build.url")
	}
	if r.Key == "" {
		return permanent(MissingKey, "the build of %q has no key: set BuildRequest.Key to Event.Key(\"TriggerBuild\")", r.Repository)
	}
	to, err := endpoint(b.URL, "build.url")
	if err != nil {
		return err
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

	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Idempotency-Key", escaped(r.Key))
	if b.Token != "" {
		header.Set("Authorization", "Bearer "+b.Token)
	}
	return post(ctx, b.HTTP, to, header, body, time.Now())
}
