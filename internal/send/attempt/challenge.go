package attempt

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
)

// challengeTimeout is how long an endpoint has to answer a challenge.
const challengeTimeout = 10 * time.Second

// VerificationType is the type of the event that challenges an endpoint.
const VerificationType = "endpoint.verification"

// ChallengeEndpoint has an endpoint prove that it wants what is sent to its URL.
// A success makes it active; every failure is written where the owner sees it.
// It may be attempted at will.
func (a *Activities) ChallengeEndpoint(ctx context.Context, id string) error {
	e, err := a.Starter.Book.Get(ctx, id)
	if errors.Is(err, endpoint.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.State != endpoint.Pending {
		return nil
	}
	why := ""
	if e.Proof == endpoint.ProofOptions {
		why = a.askByOptions(ctx, e)
	} else {
		why, err = a.askByEcho(ctx, e)
	}
	if err != nil {
		return err
	}
	if why == "" {
		e, err = a.Starter.Book.Change(ctx, id, func(now *endpoint.Endpoint) error {
			if now.State == endpoint.Pending && now.URL == e.URL { // the one that has answered
				now.State, now.Why, now.VerifiedAt, now.Failures, now.FailingSince = endpoint.Active, "", a.now(), 0, time.Time{}
			}
			return nil
		})
		if err == nil && e.Told != e.State { // it was disabled, or failing at another URL
			err = a.Starter.Watch(ctx, id)
		}
		return err
	}
	_, err = a.Starter.Book.Change(ctx, id, func(now *endpoint.Endpoint) error {
		if now.State == endpoint.Pending {
			now.Why = "the challenge failed: " + why
		}
		return nil
	})
	return errors.Join(temporal.NewApplicationError(why, "NotProven"), err)
}

// askByEcho posts a signed event whose challenge the answer has to repeat.
func (a *Activities) askByEcho(ctx context.Context, e *endpoint.Endpoint) (why string, err error) {
	keys, err := a.Starter.Book.Keys(ctx, e.ID, e.Sign)
	if err != nil {
		return "", err
	}
	challenge, at := rand.Text(), a.now()
	body, err := json.Marshal(map[string]any{
		"type": VerificationType, "timestamp": at.Format(time.RFC3339), "data": map[string]string{"challenge": challenge, "endpoint": e.ID},
	})
	if err != nil {
		return "", err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	if err := sign.Sign(header, endpoint.NewID("vrf_"), at, body, keys); err != nil {
		return "", err
	}
	made, said := a.send(ctx, http.MethodPost, e.URL, header, body, challengeTimeout)
	if made.Status/100 != 2 {
		return describe(made), nil
	}
	var echo struct {
		Challenge string `json:"challenge"`
	}
	if _ = json.Unmarshal(said.body, &echo); echo.Challenge != challenge { // what is not JSON repeats nothing
		return `the answer has to be {"challenge": "…"} with the challenge that was sent`, nil
	}
	return "", nil
}

// askByOptions asks as CloudEvents' HTTP webhooks do, section 4:
// https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md
func (a *Activities) askByOptions(ctx context.Context, e *endpoint.Endpoint) (why string) {
	header := http.Header{"Webhook-Request-Origin": {a.Origin}}
	if e.PerSecond > 0 {
		header.Set("WebHook-Request-Rate", strconv.Itoa(max(1, int(e.PerSecond*60))))
	}
	made, said := a.send(ctx, http.MethodOptions, e.URL, header, nil, challengeTimeout)
	if made.Status == 0 {
		return describe(made)
	}
	allowed := said.header.Get("WebHook-Allowed-Origin")
	if allowed != "*" && !strings.EqualFold(allowed, a.Origin) {
		return fmt.Sprintf("its answer has to have WebHook-Allowed-Origin: %s, or *", a.Origin)
	}
	return ""
}
