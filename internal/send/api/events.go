package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// published is what a publisher sends.
type published struct {
	ID          string          `json:"id"`
	Tenant      string          `json:"tenant"`
	Type        string          `json:"type"`
	Data        json.RawMessage `json:"data"`
	BodyBase64  *string         `json:"body_base64"`
	ContentType string          `json:"content_type"`
}

// message checks what is published, and returns the message.
func (in published) message(tenant, key string) (endpoint.Message, error) {
	m := endpoint.Message{Tenant: tenant, ID: in.ID, Type: in.Type, ContentType: "application/json", Body: in.Data}
	switch {
	case m.ID == "" && key != "":
		m.ID = key
	case m.ID == "":
		m.ID = endpoint.NewID(endpoint.MessageIDPrefix)
	}
	if in.Data == nil == (in.BodyBase64 == nil) {
		return m, invalid("data", "want either data, which is JSON, or body_base64 with content_type")
	}
	if in.BodyBase64 != nil {
		body, err := base64.StdEncoding.DecodeString(*in.BodyBase64)
		if err != nil {
			return m, invalid("body_base64", "want base64")
		}
		m.Body, m.ContentType = body, in.ContentType
	}
	switch field, want := m.Mistake(); field {
	case "":
		return m, nil
	case "body":
		return m, wrong(http.StatusRequestEntityTooLarge, "too_large", "the body: "+want)
	default:
		return m, invalid(field, want)
	}
}

// mostNamed is how many endpoints an answer names.
const mostNamed = 100

// A message is stored when its deliveries are started, so a publisher does not
// wait long for that. After a start that failed, the relay starts all of them for
// a while: while Temporal is away, each publisher would wait for nothing.
const (
	startPatience = 2 * time.Second
	relayFor      = 5 * time.Second
)

// startsFrom is when publishers start deliveries again.
func (s *Server) startsFrom() time.Time { return time.Unix(0, s.leaveToRelay.Load()) }

// publish stores a message, and answers once it is stored. Its deliveries are
// started then and there or, where that fails, by the relay.
func (s *Server) publish(r *request) (int, any, error) {
	var in published
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
	m, err := in.message(tenant, key)
	if err != nil {
		return 0, nil, err
	}
	stored, duplicate, err := s.Book.Put(r.Context(), m)
	if err != nil {
		return 0, nil, err
	}
	result := "accepted"
	if duplicate {
		result = "duplicate"
	}
	s.events.Add(r.Context(), 1, metric.WithAttributes(attribute.String("result", result)))
	matching, next, err := s.Book.Matching(r.Context(), stored, "", mostNamed)
	if err == nil && !duplicate && !s.Now().Before(s.startsFrom()) {
		ctx, cancel := context.WithTimeout(r.Context(), startPatience)
		defer cancel()
		if err = s.Starter.Message(ctx, stored, matching, next == "" && len(matching) <= attempt.Direct); err != nil {
			s.leaveToRelay.Store(s.Now().Add(relayFor).UnixNano())
		}
	}
	if err != nil {
		s.Logger.Warn("a message is stored, and the relay starts its deliveries", "tenant", stored.Tenant, "message", stored.ID, "err", err)
	}
	names := []string{}
	for _, e := range matching {
		names = append(names, e.ID)
	}
	return http.StatusAccepted, map[string]any{"id": stored.ID, "duplicate": duplicate, "endpoints": names, "more": next != ""}, nil
}

// delivered is a delivery in JSON.
type delivered struct {
	ID       string             `json:"id"`
	Endpoint string             `json:"endpoint"`
	Event    string             `json:"event"`
	Type     string             `json:"type"`
	State    string             `json:"state"`
	Started  time.Time          `json:"started_at"`
	Ended    *time.Time         `json:"ended_at"`
	NextAt   *time.Time         `json:"next_attempt_at,omitempty"`
	Why      string             `json:"why,omitempty"`
	Attempts []delivery.Attempt `json:"attempts,omitempty"`
}

func decoded[T any](info *workflowpb.WorkflowExecutionInfo, name string) (value T) {
	if p := info.GetSearchAttributes().GetIndexedFields()[name]; p != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &value) // what cannot be read is left out
	}
	return value
}

// asDelivery reads a run. ok is false for one that is no delivery.
func asDelivery(info *workflowpb.WorkflowExecutionInfo) (d delivered, tenant string, ok bool) {
	if info.GetType().GetName() != event.DeliveryWorkflow {
		return d, "", false
	}
	tenant, message, _ := strings.Cut(decoded[string](info, event.MessageAttribute), "/")
	d = delivered{
		ID: info.GetExecution().GetWorkflowId(), Endpoint: decoded[string](info, event.SourceAttribute), Event: message,
		Type: decoded[string](info, event.TypeAttribute), Started: info.GetStartTime().AsTime(), State: "pending",
	}
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		d.State = delivery.Delivered
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		d.State = delivery.Undelivered
	default:
		if state := decoded[string](info, event.StateAttribute); state != "" {
			d.State = state // parked or held
		}
	}
	if info.GetCloseTime() != nil {
		ended := info.GetCloseTime().AsTime()
		d.Ended = &ended
	}
	return d, tenant, true
}

// conditions are the states of a list, as Temporal's visibility has them.
func conditions(state string) (string, bool) {
	running := `ExecutionStatus = "Running"`
	switch state {
	case "":
		return "", true
	case "pending":
		return running + ` AND ` + event.StateAttribute + ` IS NULL`, true
	case event.StateParked, event.StateHeld:
		return running + ` AND ` + event.StateAttribute + ` = "` + state + `"`, true
	case delivery.Delivered:
		return `ExecutionStatus = "Completed"`, true
	case delivery.Undelivered:
		return `ExecutionStatus IN ("Failed", "Terminated", "Canceled")`, true
	default:
		return "", false
	}
}

func (s *Server) listDeliveries(r *request) (int, any, error) {
	q := r.URL.Query()
	cursor, limit, err := page(q)
	if err != nil {
		return 0, nil, err
	}
	where := []string{`WorkflowType = "` + event.DeliveryWorkflow + `"`}
	state, known := conditions(q.Get("state"))
	if !known {
		return 0, nil, invalid("state", "want pending, held, parked, delivered or undelivered")
	}
	if state != "" {
		where = append(where, state)
	}
	tenant := r.tenant
	if id := q.Get("endpoint"); id != "" {
		e, err := s.own(r, id)
		if err != nil {
			return 0, nil, err
		}
		tenant = e.Tenant
		where = append(where, event.SourceAttribute+` = "`+e.ID+`"`)
	}
	if named := q.Get("tenant"); named != "" {
		if tenant, err = r.forTenant(named); err != nil {
			return 0, nil, err
		}
	}
	switch id := q.Get("event"); {
	case id != "" && (!endpoint.IsMessageID(id) || tenant == ""):
		return 0, nil, invalid("event", "want the id of an event, and for the operator its tenant or an endpoint")
	case id != "":
		where = append(where, event.MessageAttribute+` = "`+delivery.MessageKey(tenant, id)+`"`)
	case tenant != "":
		where = append(where, event.MessageAttribute+` STARTS_WITH "`+delivery.MessageKey(tenant, "")+`"`)
	}
	found, err := s.Starter.Client.ListWorkflow(r.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: strings.Join(where, " AND "), PageSize: int32(limit), NextPageToken: []byte(cursor), //nolint:gosec // at most 200
	})
	if _, bad := errors.AsType[*serviceerror.InvalidArgument](err); bad && cursor != "" {
		return 0, nil, invalid("cursor", "it is not one that a list has returned")
	}
	if err != nil {
		return 0, nil, err
	}
	var data []delivered
	for _, info := range found.GetExecutions() {
		if d, of, ok := asDelivery(info); ok && (r.operator() || of == r.tenant) {
			data = append(data, d)
		}
	}
	return http.StatusOK, list(data, string(found.GetNextPageToken())), nil
}

// delivery describes a delivery of the caller's, with its attempts.
func (s *Server) delivery(r *request) (d delivered, err error) {
	id := r.vars["id"]
	of, _, _ := strings.Cut(id, ":")
	if _, err := s.own(r, of); err != nil && !errors.Is(err, endpoint.ErrNotFound) {
		return d, err
	}
	described, err := s.Starter.Client.DescribeWorkflowExecution(r.Context(), id, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return d, notFound()
	}
	if err != nil {
		return d, err
	}
	d, tenant, ok := asDelivery(described.GetWorkflowExecutionInfo())
	if !ok || !r.operator() && tenant != r.tenant {
		return d, notFound()
	}
	for _, pending := range described.GetPendingActivities() {
		if pending.GetActivityType().GetName() != delivery.DeliverActivity {
			continue
		}
		if details := pending.GetHeartbeatDetails(); details != nil {
			_ = converter.GetDefaultDataConverter().FromPayloads(details, &d.Attempts) // none to show
		}
		d.Why = pending.GetLastFailure().GetMessage()
		if next := pending.GetNextAttemptScheduleTime(); next != nil {
			at := next.AsTime()
			d.NextAt = &at
		}
	}
	switch {
	case d.Ended != nil:
		s.ended(r, &d)
	case d.State == event.StateParked:
		s.exhausted(r, &d)
	}
	return d, nil
}

// exhausted fills in the attempts of a delivery that has parked: they are in the
// failure of its last step.
func (s *Server) exhausted(r *request, d *delivered) {
	events := s.Starter.Client.GetWorkflowHistory(r.Context(), d.ID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return // the attempts are not what was asked for first
		}
		failed := e.GetActivityTaskFailedEventAttributes().GetFailure()
		if failed == nil {
			continue
		}
		var count int
		var log []delivery.Attempt
		if details := failed.GetApplicationFailureInfo().GetDetails(); details != nil && converter.GetDefaultDataConverter().FromPayloads(details, &count, &log) == nil {
			d.Attempts, d.Why = log, failed.GetMessage()
		}
	}
}

// ended fills in what a closed delivery returned.
func (s *Server) ended(r *request, d *delivered) {
	events := s.Starter.Client.GetWorkflowHistory(r.Context(), d.ID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !events.HasNext() {
		return
	}
	last, err := events.Next()
	if err != nil {
		return // the attempts are not what was asked for first
	}
	var outcome delivery.Outcome
	payloads := last.GetWorkflowExecutionCompletedEventAttributes().GetResult()
	if failed := last.GetWorkflowExecutionFailedEventAttributes().GetFailure(); failed != nil {
		payloads, d.Why = failed.GetApplicationFailureInfo().GetDetails(), failed.GetMessage()
	}
	if payloads != nil && converter.GetDefaultDataConverter().FromPayloads(payloads, &outcome) == nil {
		d.Attempts = outcome.Attempts
	}
}

func (s *Server) getDelivery(r *request) (int, any, error) {
	d, err := s.delivery(r)
	return http.StatusOK, d, err
}

// retryDelivery has a delivery go on now, or start again where it has closed
// undelivered.
func (s *Server) retryDelivery(r *request) (int, any, error) {
	d, err := s.delivery(r)
	if err != nil {
		return 0, nil, err
	}
	e, err := s.own(r, d.Endpoint)
	if err != nil {
		return 0, nil, err
	}
	switch d.State {
	case delivery.Delivered:
		return 0, nil, wrong(http.StatusConflict, "conflict", "it is delivered; POST …/replay with only: all sends it again")
	case event.StateParked, event.StateHeld:
		err = s.Starter.Client.SignalWorkflow(r.Context(), d.ID, "", event.SignalResume, map[string]string{"by": "the API", "why": "retry"})
	case delivery.Undelivered:
		m, found := s.Book.Message(r.Context(), e.Tenant, d.Event)
		if found != nil {
			return 0, nil, found
		}
		_, err = s.Starter.Delivery(r.Context(), e, m, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY)
	default: // it waits for its next attempt
		_, err = s.Starter.Client.WorkflowService().ResetActivity(r.Context(), &workflowservice.ResetActivityRequest{
			Namespace: s.Namespace, Execution: execution(d.ID), Activity: &workflowservice.ResetActivityRequest_Type{Type: delivery.DeliverActivity},
		})
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, map[string]any{"id": d.ID}, nil
}

func execution(id string) *commonpb.WorkflowExecution {
	return &commonpb.WorkflowExecution{WorkflowId: id}
}
