package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/api"
	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/store"
)

const operatorKey = "an operator's key"

// temporal stands in for Temporal: it takes every start, and knows the runs
// that a test gives it.
type temporal struct {
	client.Client
	runs map[string]*workflowpb.WorkflowExecutionInfo
	down bool
}

func (f *temporal) err() error {
	if f.down {
		return serviceerror.NewUnavailable("down")
	}
	return nil
}

func (f *temporal) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, f.err()
}

func (f *temporal) SignalWithStartWorkflow(context.Context, string, string, any, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, f.err()
}

func (f *temporal) SignalWorkflow(context.Context, string, string, string, any) error { return f.err() }

func (f *temporal) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	if f.runs[id] == nil {
		return nil, serviceerror.NewNotFound("no such run")
	}
	payload, err := converter.GetDefaultDataConverter().ToPayloads(delivery.Progress{Endpoint: strings.TrimPrefix(id, delivery.ReplayID("of-")), Count: 3})
	return client.NewValue(payload), err
}

func (f *temporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	var list []*workflowpb.WorkflowExecutionInfo
	for _, run := range f.runs {
		list = append(list, run)
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: list}, f.err()
}

// noHistory has no event.
type noHistory struct{ client.HistoryEventIterator }

func (noHistory) HasNext() bool { return false }

func (f *temporal) GetWorkflowHistory(context.Context, string, string, bool, enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	return noHistory{}
}

func (f *temporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if f.runs[id] == nil {
		return nil, serviceerror.NewNotFound("no such run")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: f.runs[id]}, f.err()
}

func payload(t *testing.T, value string) *commonpb.Payload {
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

// parked adds a delivery that is parked.
func (f *temporal) parked(t *testing.T, tenant, to, message string) string {
	id := delivery.ID(to, message)
	f.runs[id] = &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id}, Type: &commonpb.WorkflowType{Name: event.DeliveryWorkflow},
		Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{
			event.SourceAttribute: payload(t, to), event.TypeAttribute: payload(t, "invoice.paid"), event.StateAttribute: payload(t, event.StateParked),
			event.MessageAttribute: payload(t, delivery.MessageKey(tenant, message)),
		}},
	}
	f.runs[delivery.ReplayID("of-"+to)] = &workflowpb.WorkflowExecutionInfo{}
	return id
}

// system is the API on a store of its own. Each request and answer is held
// against the description.
type system struct {
	t        *testing.T
	server   *api.Server
	temporal *temporal
	book     *endpoint.Book
	document *libopenapi.DocumentModel[v3.Document]
	valid    validator.Validator
	now      time.Time
}

func start(t *testing.T, perSecond float64) *system {
	t.Helper()
	s := &system{t: t, temporal: &temporal{runs: map[string]*workflowpb.WorkflowExecutionInfo{}}, now: time.Now()}
	db, err := store.Open(t.Context(), store.Options{SQLite: filepath.Join(t.TempDir(), "send.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	key, err := store.ParseKey(strings.Repeat("00", 32))
	require.NoError(t, err)
	s.book, err = endpoint.Open(t.Context(), db, key, nil)
	require.NoError(t, err)
	s.server, err = api.New(api.Options{
		Book: s.book, Starter: &attempt.Starter{Client: s.temporal, Book: s.book}, Keys: []string{operatorKey, "the key before"}, PerSecond: perSecond, Keep: 30 * 24 * time.Hour,
		HTTP: egress.New(egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
		}}),
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
	})
	require.NoError(t, err)
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	document, err := libopenapi.NewDocument(recorder.Body.Bytes())
	require.NoError(t, err)
	var problems []error
	s.valid, problems = validator.NewValidator(document)
	require.Empty(t, problems)
	s.document, err = document.BuildV3Model()
	require.NoError(t, err)
	return s
}

// call makes a request, and has the answer fit the description. A request that
// succeeds has to fit it, too.
func (s *system) call(method, path, token, body string) (int, map[string]any) {
	s.t.Helper()
	request := func() *http.Request {
		r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		return r
	}
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, request())
	res := recorder.Result()
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	res.Body = io.NopCloser(bytes.NewReader(text))
	ok, problems := s.valid.ValidateHttpResponse(request(), res)
	require.True(s.t, ok, "%s %s: %d %s: %v", method, path, res.StatusCode, text, problems)
	if res.StatusCode < 300 {
		ok, problems = s.valid.ValidateHttpRequest(request())
		require.True(s.t, ok, "%s %s %s: %v", method, path, body, problems)
	}
	var answer map[string]any
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &answer))
	}
	return res.StatusCode, answer
}

func (s *system) token(tenant string) string {
	s.t.Helper()
	status, answer := s.call(http.MethodPost, "/v1/tenants/"+tenant+"/token", operatorKey, `{}`)
	require.Equal(s.t, http.StatusCreated, status)
	return answer["token"].(string)
}

func (s *system) register(token, more string) string {
	s.t.Helper()
	status, answer := s.call(http.MethodPost, "/v1/endpoints", token, `{"url": "https://hooks.test/in", "events": ["*"]`+more+`}`)
	require.Equal(s.t, http.StatusCreated, status, "%v", answer)
	return answer["id"].(string)
}

func (s *system) activate(id string) {
	s.t.Helper()
	_, moved, err := s.book.Move(s.t.Context(), id, endpoint.Active, "", endpoint.Pending)
	require.NoError(s.t, err)
	require.True(s.t, moved)
}

// TestEveryRoute calls each route of the description with success, and finds
// none that is not described.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	token := s.token("acme")
	id := s.register(token, `, "headers": {"X-Api-Key": "hunter2"}, "sign": ["v1", "v1a"], "rate": {"per_second": 5}, "schedule": ["1m", "1h30m"], "contact": "ops@acme.test"`)
	s.activate(id)
	run := s.temporal.parked(t, "acme", id, "m1")
	one := "/v1/endpoints/" + id
	called := map[string]bool{}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/endpoints", `{"url": "https://hooks.test/", "events": ["a.*"]}`, 201},
		{"GET", "/v1/endpoints?limit=1", "", 200},
		{"GET", one, "", 200},
		{"PATCH", one, `{"events": ["invoice.*"], "rate": {"per_second": 0}}`, 200},
		{"POST", one + "/rotate", `{"grace": "1h"}`, 200},
		{"GET", one + "/secret", "", 200},
		{"POST", one + "/replay", `{"since": "` + time.Now().Add(-time.Hour).Format(time.RFC3339) + `", "dry_run": true}`, 202},
		{"GET", one + "/replays/of-" + id, "", 200},
		{"POST", "/v1/events", `{"id": "m1", "type": "invoice.paid", "data": {"a": 1}}`, 202},
		{"POST", "/v1/events", `{"type": "invoice.paid", "body_base64": "AAH/", "content_type": "application/x-protobuf"}`, 202},
		{"GET", "/v1/deliveries?endpoint=" + id + "&state=parked", "", 200},
		{"GET", "/v1/deliveries/" + run, "", 200},
		{"POST", "/v1/deliveries/" + run + "/retry", "", 202},
		{"POST", one + "/disable", `{"why": "a test"}`, 200},
		{"POST", one + "/enable", `{}`, 202},
		{"POST", one + "/verify", "", 202},
		{"POST", "/v1/tenants/acme/token", `{"for": "1h"}`, 201},
		{"DELETE", one, "", 204},
	} {
		with := token
		if strings.Contains(c.path, "/tenants/") {
			with = operatorKey
		}
		status, answer := s.call(c.method, c.path, with, c.body)
		require.Equal(t, c.status, status, "%s %s: %v", c.method, c.path, answer)
		if strings.HasSuffix(c.path, "/secret") {
			require.Len(t, answer["keys"], 2)
			continue
		}
		text, err := json.Marshal(answer)
		require.NoError(t, err)
		require.NotContains(t, string(text), "hunter2")
		require.False(t, strings.Contains(string(text), "whsec_") && !strings.HasSuffix(c.path, "/rotate"))
		called[c.method] = true
	}
	described := 0
	for _, item := range s.document.Model.Paths.PathItems.FromOldest() {
		described += item.GetOperations().Len()
	}
	require.Equal(t, described, s.server.Routes(), "each route is described, and nothing else is")
	require.Equal(t, 17, described, "call a new route above")
}

// TestTenants has a token of one tenant reach nothing of another's, by any
// route.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	acme, other := s.token("acme"), s.token("other")
	id := s.register(acme, `, "description": "of acme"`)
	s.activate(id)
	run := s.temporal.parked(t, "acme", id, "m1")
	status, _ := s.call(http.MethodPost, "/v1/events", acme, `{"id": "m1", "type": "a", "data": {}}`)
	require.Equal(t, http.StatusAccepted, status)
	before, err := s.book.Get(t.Context(), id)
	require.NoError(t, err)
	for path, item := range s.document.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			method = strings.ToUpper(method)
			of := id
			if strings.Contains(path, "/deliveries/") {
				of = run
			}
			to := strings.NewReplacer("{id}", of, "{replay}", "of-"+id, "{tenant}", "acme").Replace(path)
			body := map[string]string{
				"/v1/endpoints":             `{"tenant": "acme", "url": "https://hooks.test/", "events": ["*"]}`,
				"/v1/events":                `{"tenant": "acme", "id": "m1", "type": "a", "data": {}}`,
				"/v1/endpoints/{id}/replay": `{"since": "` + time.Now().Add(-time.Minute).Format(time.RFC3339) + `"}`,
			}[path]
			if method == http.MethodGet {
				body, to = "", to+"?tenant=acme"
			} else if body == "" {
				body = "{}"
			}
			status, answer := s.call(method, to, other, body)
			require.Equal(t, http.StatusNotFound, status, "%s %s: %v", method, to, answer)
		}
	}
	for _, list := range []string{"/v1/endpoints", "/v1/deliveries"} {
		_, answer := s.call(http.MethodGet, list, other, "")
		require.Empty(t, answer["data"], list)
		_, answer = s.call(http.MethodGet, list, acme, "")
		require.NotEmpty(t, answer["data"], list)
	}
	status, _ = s.call(http.MethodGet, "/v1/deliveries?endpoint="+id, other, "")
	require.Equal(t, http.StatusNotFound, status)
	after, err := s.book.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before, after)
	status, answer := s.call(http.MethodPost, "/v1/events", other, `{"id": "m1", "type": "a", "data": {"mine": true}}`)
	require.Equal(t, http.StatusAccepted, status, "ids are a tenant's own")
	require.Equal(t, false, answer["duplicate"])
	require.Empty(t, answer["endpoints"])
}

// problem is the one shape of an error.
func problem(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	p, ok := answer["error"].(map[string]any)
	require.True(t, ok, "%v", answer)
	return p
}

func TestWhoAsks(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	token := s.token("acme")
	for name, bad := range map[string]string{
		"nothing": "", "another key": "guess", "a token without a signature": strings.Split(token, ".")[0], "a token with another": token[:len(token)-2] + "AA",
		"another claim": "hyt_eyJ0ZW5hbnQiOiJvdGhlciIsImV4cCI6OTk5OTk5OTk5OX0." + strings.Split(token, ".")[1],
	} {
		status, answer := s.call(http.MethodGet, "/v1/endpoints", bad, "")
		require.Equal(t, http.StatusUnauthorized, status, name)
		require.Equal(t, "unauthorized", problem(t, answer)["code"])
	}
	status, _ := s.call(http.MethodGet, "/v1/endpoints", "the key before", "")
	require.Equal(t, http.StatusOK, status)
	s.now = s.now.Add(24*time.Hour - time.Second)
	status, _ = s.call(http.MethodGet, "/v1/endpoints", token, "")
	require.Equal(t, http.StatusOK, status)
	s.now = s.now.Add(2 * time.Second)
	status, _ = s.call(http.MethodGet, "/v1/endpoints", token, "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestRate(t *testing.T) {
	t.Parallel()
	s := start(t, 0.001)
	token, other := s.token("acme"), s.token("other")
	status, _ := s.call(http.MethodGet, "/v1/endpoints", token, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = s.call(http.MethodGet, "/v1/endpoints", token, "")
	require.Equal(t, http.StatusTooManyRequests, status)
	status, _ = s.call(http.MethodGet, "/v1/endpoints", other, "")
	require.Equal(t, http.StatusOK, status, "the rate of one is not that of another")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	id := s.register(operatorKey, `, "tenant": "acme"`)
	one := "/v1/endpoints/" + id
	for body, want := range map[string]string{
		`{`: "not_json ", `[]`: "invalid ", `{} {}`: "not_json ", `{"typo": 1}`: "invalid typo",
		`{"tenant": "acme", "events": ["*"]}`:                                                             "invalid url",
		`{"tenant": "a b", "url": "https://hooks.test", "events": ["*"]}`:                                 "invalid tenant",
		`{"url": "https://hooks.test", "events": ["*"]}`:                                                  "invalid tenant",
		`{"tenant": "acme", "url": "https://hooks.test"}`:                                                 "invalid events",
		`{"tenant": "acme", "url": "https://hooks.test", "events": []}`:                                   "invalid events",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["é"]}`:                                "invalid events",
		`{"tenant": "acme", "url": "https://127.0.0.1/", "events": ["*"]}`:                                "invalid url",
		`{"tenant": "acme", "url": "https://u:hunter2@hooks.test/", "events": ["*"]}`:                     "invalid url",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "sign": ["v2"]}`:                "invalid sign",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "sign": []}`:                    "invalid sign",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "headers": {"Webhook-Id": ""}}`: "invalid headers",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "headers": {"A": "b\r\nC: d"}}`: "invalid headers",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "headers": {"Host": "x"}}`:      "invalid headers",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "schedule": ["0s"]}`:            "invalid schedule",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "schedule": [5]}`:               "invalid ",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "contact": "a@b, c@d"}`:         "invalid contact",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "contact": "A <a@b.test>"}`:     "invalid contact",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "verify": "none"}`:              "invalid verify",
		`{"tenant": "acme", "url": "https://hooks.test", "events": ["*"], "rate": {"per_second": -1}}`:    "invalid rate.per_second",
	} {
		status, answer := s.call(http.MethodPost, "/v1/endpoints", operatorKey, body)
		require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, status, body)
		e := problem(t, answer)
		field, _ := e["field"].(string)
		require.Equal(t, want, e["code"].(string)+" "+field, body)
		require.NotContains(t, e["message"], "hunter2")
	}
	for _, body := range []string{
		`{"tenant": "acme", "type": "a"}`, `{"tenant": "acme", "type": "a", "data": {}, "body_base64": ""}`, `{"tenant": "acme", "type": "endpoint.disabled", "data": {}}`,
		`{"tenant": "acme", "type": "", "data": {}}`, `{"tenant": "acme", "type": "a", "id": "a.b", "data": {}}`, `{"tenant": "acme", "type": "a", "body_base64": "?", "content_type": "x/y"}`,
		`{"tenant": "acme", "type": "a", "body_base64": "AA=="}`,
	} {
		status, _ := s.call(http.MethodPost, "/v1/events", operatorKey, body)
		require.Equal(t, http.StatusUnprocessableEntity, status, body)
	}
	for path, status := range map[string]int{
		"/v1/endpoints?cursor=!": 422, "/v1/endpoints?limit=0": 422, "/v1/endpoints?limit=201": 422, "/v1/deliveries?state=lost": 422, "/v1/deliveries?event=m1": 422,
		"/v1/endpoints/ep_none": 404, "/v1/deliveries/ep_none:m1": 404, "/v1/deliveries/x": 404,
	} {
		got, _ := s.call(http.MethodGet, path, operatorKey, "")
		require.Equal(t, status, got, path)
	}
	for path, body := range map[string]string{
		"/rotate": `{"grace": "169h"}`, "/replay": `{"since": "2001-01-01T00:00:00Z"}`, "/disable": `{"why": 5}`,
	} {
		status, _ := s.call(http.MethodPost, one+path, operatorKey, body)
		require.Equal(t, http.StatusUnprocessableEntity, status, path)
	}
	status, _ := s.call(http.MethodPost, "/v1/events", operatorKey, `{"tenant": "acme", "type": "a", "data": "`+strings.Repeat("x", endpoint.MaxBody*2)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", strings.NewReader("a=b"))
	r.Header.Set("Authorization", "Bearer "+operatorKey)
	recorder := httptest.NewRecorder()
	s.server.ServeHTTP(recorder, r)
	require.Equal(t, http.StatusUnsupportedMediaType, recorder.Code)
}

// TestIdempotency does what is asked for under one key once.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	call := func(path, key, body string) (int, map[string]any) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+operatorKey)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		recorder := httptest.NewRecorder()
		s.server.ServeHTTP(recorder, r)
		var answer map[string]any
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
		return recorder.Code, answer
	}
	body := `{"tenant": "acme", "url": "https://hooks.test/", "events": ["*"]}`
	status, first := call("/v1/endpoints", "k1", body)
	require.Equal(t, http.StatusCreated, status)
	status, second := call("/v1/endpoints", "k1", body)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, first["id"], second["id"])
	status, _ = call("/v1/endpoints", "k1", strings.Replace(body, `"*"`, `"a"`, 1))
	require.Equal(t, http.StatusConflict, status)
	status, third := call("/v1/endpoints", "k2", body)
	require.Equal(t, http.StatusCreated, status)
	require.NotEqual(t, first["id"], third["id"])

	published := `{"tenant": "acme", "type": "a", "data": {"n": 1}}`
	status, first = call("/v1/events", "e1", published)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, "e1", first["id"])
	_, second = call("/v1/events", "e1", published)
	require.Equal(t, true, second["duplicate"])
	status, _ = call("/v1/events", "e1", strings.Replace(published, "1", "2", 1))
	require.Equal(t, http.StatusConflict, status)
}

// TestTemporalAway takes what is published, for the relay to start, and answers
// 503 to what needs Temporal now.
func TestTemporalAway(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	id := s.register(operatorKey, `, "tenant": "acme"`)
	s.activate(id)
	run := s.temporal.parked(t, "acme", id, "m0")
	s.temporal.down = true
	status, answer := s.call(http.MethodPost, "/v1/events", operatorKey, `{"tenant": "acme", "id": "m1", "type": "a", "data": {}}`)
	require.Equal(t, http.StatusAccepted, status, "%v", answer)
	waiting, err := s.book.Waiting(t.Context(), time.Now().Add(time.Minute), 10)
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	status, _ = s.call(http.MethodGet, "/v1/deliveries/"+run, operatorKey, "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	s.temporal.down = false
	now := s.server.Now()
	for _, tt := range []struct {
		id      string
		at      time.Duration
		waiting int
		why     string
	}{
		{"m2", 0, 2, "right after a start that failed, the relay starts what is published"},
		{"m3", time.Minute, 2, "later it is started then and there"},
	} {
		s.server.Now = func() time.Time { return now.Add(tt.at) }
		status, _ = s.call(http.MethodPost, "/v1/events", operatorKey, `{"tenant": "acme", "id": "`+tt.id+`", "type": "a", "data": {}}`)
		require.Equal(t, http.StatusAccepted, status)
		waiting, err = s.book.Waiting(t.Context(), time.Now().Add(time.Minute), 10)
		require.NoError(t, err)
		require.Len(t, waiting, tt.waiting, tt.why)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	token, made := s.token("acme"), map[string]bool{}
	for range 5 {
		made[s.register(token, "")] = true
	}
	s.register(s.token("other"), "")
	path := "/v1/endpoints?limit=2"
	for pages := 1; ; pages++ {
		_, answer := s.call(http.MethodGet, path, token, "")
		data, ok := answer["data"].([]any)
		require.True(t, ok)
		for _, e := range data {
			id := e.(map[string]any)["id"].(string)
			require.True(t, made[id], "each once, and only one's own")
			delete(made, id)
		}
		next, more := answer["next"].(string)
		if !more {
			require.Equal(t, 3, pages)
			break
		}
		path = "/v1/endpoints?limit=2&cursor=" + next
	}
	require.Empty(t, made)
}
