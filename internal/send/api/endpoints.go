package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
)

// rated is the rate of an endpoint in JSON.
type rated struct {
	PerSecond float64 `json:"per_second"`
}

// settings are what an owner may set. A nil field of a PATCH stays as it is.
type settings struct {
	URL         *string            `json:"url"`
	Events      *[]string          `json:"events"`
	Description *string            `json:"description"`
	Headers     *map[string]string `json:"headers"`
	Sign        *[]sign.Scheme     `json:"sign"`
	Rate        *rated             `json:"rate"`
	Ordered     *bool              `json:"ordered"`
	Contact     *string            `json:"contact"`
	Schedule    *[]duration        `json:"schedule"`
	Verify      *endpoint.Proof    `json:"verify"`
}

// shown is an endpoint in JSON. It never holds a secret.
type shown struct {
	ID           string            `json:"id"`
	Tenant       string            `json:"tenant"`
	URL          string            `json:"url"`
	Events       []string          `json:"events"`
	Description  string            `json:"description"`
	Headers      map[string]string `json:"headers"` // the values are hidden
	Sign         []sign.Scheme     `json:"sign"`
	Rate         *rated            `json:"rate"`
	Ordered      bool              `json:"ordered"`
	Contact      string            `json:"contact"`
	Schedule     []duration        `json:"schedule"`
	Verify       endpoint.Proof    `json:"verify"`
	State        endpoint.State    `json:"state"`
	StateWhy     string            `json:"state_why"`
	FailingSince *time.Time        `json:"failing_since"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

func show(e *endpoint.Endpoint) shown {
	s := shown{
		ID: e.ID, Tenant: e.Tenant, URL: e.URL, Events: e.Events, Description: e.Description, Headers: map[string]string{}, Sign: e.Sign,
		Ordered: e.Ordered, Contact: e.Contact, Schedule: []duration{}, Verify: e.Proof, State: e.State, StateWhy: e.Why,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	for name := range e.Headers {
		s.Headers[name] = "<secret>"
	}
	for _, d := range e.Schedule {
		s.Schedule = append(s.Schedule, duration(d))
	}
	if e.PerSecond > 0 {
		s.Rate = &rated{e.PerSecond}
	}
	if !e.FailingSince.IsZero() {
		s.FailingSince = &e.FailingSince
	}
	return s
}

const (
	mostPatterns    = 100
	mostHeaders     = 20
	mostHeaderBytes = 4 << 10
	longestText     = 256
	mostAttempts    = 20
	longestDelay    = 7 * 24 * time.Hour
	mostPerSecond   = 10_000
)

// apply sets what is given, and returns what is wrong with it.
func (s *Server) apply(in settings, to *endpoint.Settings) error {
	checks := []func() error{
		func() error { return set(in.URL, &to.URL, "url", s.checkURL) },
		func() error { return set(in.Events, &to.Events, "events", checkEvents) },
		func() error { return set(in.Description, &to.Description, "description", checkText) },
		func() error { return set(in.Headers, &to.Headers, "headers", checkHeaders) },
		func() error { return set(in.Sign, &to.Sign, "sign", checkSign) },
		func() error { return set(in.Ordered, &to.Ordered, "ordered", func(bool) error { return nil }) },
		func() error { return set(in.Contact, &to.Contact, "contact", checkContact) },
		func() error { return set(in.Verify, &to.Proof, "verify", checkProof) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	if in.Rate != nil {
		if in.Rate.PerSecond < 0 || in.Rate.PerSecond > mostPerSecond {
			return invalid("rate.per_second", fmt.Sprintf("want 0, for none, to %d", mostPerSecond))
		}
		to.PerSecond = in.Rate.PerSecond
	}
	if in.Schedule != nil {
		if len(*in.Schedule) > mostAttempts {
			return invalid("schedule", fmt.Sprintf("want at most %d waits", mostAttempts))
		}
		to.Schedule = nil
		for _, d := range *in.Schedule {
			if time.Duration(d) < time.Second || time.Duration(d) > longestDelay {
				return invalid("schedule", "want waits of 1s to 168h")
			}
			to.Schedule = append(to.Schedule, time.Duration(d))
		}
	}
	return nil
}

func set[T any](given, to *T, field string, check func(T) error) error {
	if given == nil {
		return nil
	}
	if err := check(*given); err != nil {
		return invalid(field, err.Error())
	}
	*to = *given
	return nil
}

func (s *Server) checkURL(raw string) error {
	_, err := s.HTTP.CheckURL(raw)
	return err
}

func checkEvents(patterns []string) error {
	if len(patterns) == 0 || len(patterns) > mostPatterns {
		return fmt.Errorf("want 1 to %d patterns, such as \"invoice.*\"", mostPatterns)
	}
	for _, p := range patterns {
		if !endpoint.IsPattern(p) {
			return errors.New("a pattern is " + endpoint.WantPattern)
		}
	}
	return nil
}

func checkText(text string) error {
	if len(text) > longestText {
		return fmt.Errorf("want at most %d bytes", longestText)
	}
	return nil
}

// checkHeaders refuses what the request says of itself, and what would end a
// header.
func checkHeaders(headers map[string]string) error {
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
		lower := strings.ToLower(name)
		own := slices.Contains([]string{
			"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "user-agent", "te", "trailer", "upgrade", "expect", "keep-alive",
		}, lower) || strings.HasPrefix(lower, "webhook-") || strings.HasPrefix(lower, "proxy-")
		if own || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return errors.New("a header has a name or a value that cannot be set")
		}
	}
	if len(headers) > mostHeaders || size > mostHeaderBytes {
		return fmt.Errorf("want at most %d headers of %d bytes", mostHeaders, mostHeaderBytes)
	}
	return nil
}

func checkSign(schemes []sign.Scheme) error {
	if len(schemes) == 0 || len(schemes) > 2 || len(schemes) == 2 && schemes[0] == schemes[1] {
		return errors.New(`want "v1", "v1a" or both`)
	}
	for _, scheme := range schemes {
		if scheme != sign.V1 && scheme != sign.V1a {
			return errors.New(`want "v1", "v1a" or both`)
		}
	}
	return nil
}

func checkContact(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > longestText {
		return errors.New("want a mail address")
	}
	return nil
}

func checkProof(p endpoint.Proof) error {
	if p != endpoint.ProofEcho && p != endpoint.ProofOptions {
		return errors.New(`want "echo" or "options"`)
	}
	return nil
}

// requestKey reads the Idempotency-Key.
func (r *request) requestKey() (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > longestText {
		return "", invalid("Idempotency-Key", fmt.Sprintf("want at most %d bytes", longestText))
	}
	return key, nil
}

func (s *Server) createEndpoint(r *request) (int, any, error) {
	var in struct {
		Tenant string `json:"tenant"`
		settings
	}
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	tenant, err := r.forTenant(in.Tenant)
	if err != nil {
		return 0, nil, err
	}
	key, err := r.requestKey()
	if err != nil {
		return 0, nil, err
	}
	e := &endpoint.Endpoint{ID: endpoint.NewID(endpoint.IDPrefix), Tenant: tenant, State: endpoint.Pending}
	e.Sign, e.Proof = []sign.Scheme{sign.V1}, endpoint.ProofEcho
	switch {
	case in.URL == nil:
		return 0, nil, invalid("url", "want the URL to send to")
	case in.Events == nil:
		return 0, nil, invalid("events", `want patterns of event types, such as ["invoice.*"]`)
	}
	if err := s.apply(in.settings, &e.Settings); err != nil {
		return 0, nil, err
	}
	if err := s.HTTP.Check(r.Context(), e.URL); egress.IsRefused(err) { // a name that does not resolve may do so soon
		return 0, nil, invalid("url", err.Error())
	}
	var keys []sign.Key
	for _, scheme := range []sign.Scheme{sign.V1, sign.V1a} { // both, so that the other can be chosen later
		k, err := sign.NewKey(scheme)
		if err != nil {
			return 0, nil, err
		}
		keys = append(keys, k)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return 0, nil, err
	}
	sum := sha256.Sum256(text)
	there, created, err := s.Book.Create(r.Context(), e, keys, key, hex.EncodeToString(sum[:]))
	if err != nil {
		return 0, nil, err
	}
	// Where this fails, the endpoint waits for POST …/verify.
	if err := s.Starter.Verify(r.Context(), there.ID); err != nil && created {
		s.Logger.Warn("an endpoint is not challenged yet", "endpoint", there.ID, "err", err)
	}
	if !created {
		return http.StatusOK, show(there), nil
	}
	return http.StatusCreated, show(there), nil
}

func (s *Server) listEndpoints(r *request) (int, any, error) {
	cursor, limit, err := page(r.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	tenant := r.tenant
	if named := r.URL.Query().Get("tenant"); named != "" {
		if tenant, err = r.forTenant(named); err != nil {
			return 0, nil, err
		}
	}
	found, err := s.Book.List(r.Context(), tenant, cursor, limit+1)
	if err != nil {
		return 0, nil, err
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	var data []shown
	for _, e := range found {
		data = append(data, show(e))
	}
	return http.StatusOK, list(data, next), nil
}

func (s *Server) getEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, show(e), nil
}

func (s *Server) patchEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	var in settings
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	if in.URL != nil {
		if err := s.HTTP.Check(r.Context(), *in.URL); egress.IsRefused(err) {
			return 0, nil, invalid("url", err.Error())
		}
	}
	again := false
	e, err = s.Book.Change(r.Context(), e.ID, func(e *endpoint.Endpoint) error {
		before := e.URL
		if err := s.apply(in, &e.Settings); err != nil {
			return err
		}
		if again = e.URL != before && e.State != endpoint.Disabled; again {
			e.State, e.Why = endpoint.Pending, "the URL has changed, and the new one has to prove itself"
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	if again {
		if err := errors.Join(s.Starter.Verify(r.Context(), e.ID), s.Starter.Watch(r.Context(), e.ID)); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, show(e), nil
}

func (s *Server) deleteEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	if err := s.Book.Delete(r.Context(), e.ID); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.Starter.Watch(r.Context(), e.ID)
}

func (s *Server) verifyEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	if e.State != endpoint.Pending {
		return 0, nil, wrong(http.StatusConflict, "conflict", "the endpoint is "+string(e.State)+", not pending")
	}
	return http.StatusAccepted, show(e), s.Starter.Verify(r.Context(), e.ID)
}

func (s *Server) enableEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	e, moved, err := s.Book.Move(r.Context(), e.ID, endpoint.Pending, "it was disabled, and has to prove itself again", endpoint.Disabled)
	if err != nil {
		return 0, nil, err
	}
	if !moved && e.State != endpoint.Pending {
		return http.StatusOK, show(e), nil
	}
	return http.StatusAccepted, show(e), s.Starter.Verify(r.Context(), e.ID)
}

func (s *Server) disableEndpoint(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	var in struct {
		Why string `json:"why"`
	}
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	if err := checkText(in.Why); err != nil {
		return 0, nil, invalid("why", err.Error())
	}
	why := "by request"
	if in.Why != "" {
		why += ": " + in.Why
	}
	e, _, err = s.Book.Move(r.Context(), e.ID, endpoint.Disabled, why, endpoint.Active, endpoint.Failing, endpoint.Pending)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, show(e), s.Starter.Watch(r.Context(), e.ID)
}

// keysOf are the keys in use as the receiver needs them, by scheme.
func keysOf(keys []sign.Key) map[string]string {
	text := map[string]string{}
	for _, k := range keys {
		if text[string(k.Scheme())] == "" { // the newest comes first
			text[string(k.Scheme())] = k.Verifier()
		}
	}
	return text
}

func (s *Server) getSecret(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	keys, err := s.Book.Keys(r.Context(), e.ID, e.Sign)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"keys": keysOf(keys)}, nil
}

const (
	defaultGrace = 24 * time.Hour
	longestGrace = 7 * 24 * time.Hour
)

func (s *Server) rotateSecret(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	var in struct {
		Grace *duration `json:"grace"`
	}
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	grace := defaultGrace
	if in.Grace != nil {
		grace = time.Duration(*in.Grace)
	}
	if grace < 0 || grace > longestGrace {
		return 0, nil, invalid("grace", "want 0s to 168h")
	}
	keys, err := s.Book.Rotate(r.Context(), e.ID, e.Sign, grace)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"keys": keysOf(keys), "old_valid_until": s.Now().Add(grace).UTC()}, nil
}

const defaultReplayRate = 20

func (s *Server) replay(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	var in struct {
		Since  time.Time  `json:"since"`
		Until  *time.Time `json:"until"`
		Only   string     `json:"only"`
		DryRun bool       `json:"dry_run"`
		Rate   *rated     `json:"rate"`
	}
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	now := s.Now().UTC()
	resend := delivery.Resend{Endpoint: e.ID, Since: in.Since, Until: now, Only: in.Only, DryRun: in.DryRun, PerSecond: defaultReplayRate}
	if in.Until != nil {
		resend.Until = *in.Until
	}
	if in.Rate != nil {
		resend.PerSecond = in.Rate.PerSecond
	}
	if in.Only == "" {
		resend.Only = delivery.OnlyMissing
	}
	switch {
	case in.Since.IsZero() || in.Since.Before(now.Add(-s.Keep)):
		return 0, nil, invalid("since", "want a time of RFC 3339 in the last "+s.Keep.String()+", for which messages are kept")
	case resend.Until.Before(in.Since):
		return 0, nil, invalid("until", "it is before since")
	case resend.PerSecond <= 0 || resend.PerSecond > mostPerSecond:
		return 0, nil, invalid("rate.per_second", fmt.Sprintf("want more than 0, to %d", mostPerSecond))
	case !slices.Contains([]string{delivery.OnlyMissing, delivery.OnlyFailed, delivery.OnlyAll}, resend.Only):
		return 0, nil, invalid("only", "want missing, failed or all")
	case e.State == endpoint.Disabled:
		return 0, nil, wrong(http.StatusConflict, "conflict", "the endpoint is disabled; enable it first")
	}
	id, err := s.Starter.Replay(r.Context(), resend)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, map[string]any{"id": id}, nil
}

// getReplay tells how far a replay of the caller's is.
func (s *Server) getReplay(r *request) (int, any, error) {
	e, err := s.own(r, r.vars["id"])
	if err != nil {
		return 0, nil, err
	}
	id := r.vars["replay"]
	progress, err := s.Starter.ReplayProgress(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	if progress.Endpoint != e.ID {
		return 0, nil, notFound()
	}
	return http.StatusOK, map[string]any{"id": id, "done": progress.Done, "count": progress.Count}, nil
}
