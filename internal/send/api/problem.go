package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// problem is an answer that is no success, in the one shape that they have.
type problem struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	// Field is the field of the request that is meant; "" for none.
	Field string `json:"field,omitempty"`
	// after is Retry-After; 0 for none.
	after time.Duration
}

func (p *problem) Error() string { return p.Message }

func wrong(status int, code, message string) *problem {
	return &problem{status: status, Code: code, Message: message}
}

func invalid(field, message string) *problem {
	return &problem{status: http.StatusUnprocessableEntity, Code: "invalid", Message: message, Field: field}
}

func notFound() *problem { return wrong(http.StatusNotFound, "not_found", "there is no such thing") }

// asProblem says of an error what the caller may know. The cause is logged.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	switch {
	case errors.Is(err, endpoint.ErrNotFound):
		return notFound()
	case errors.Is(err, endpoint.ErrConflict):
		return wrong(http.StatusConflict, "conflict", "the id or Idempotency-Key was used for something else")
	default:
		return &problem{status: http.StatusServiceUnavailable, Code: "unavailable", Message: "try again later", after: 5 * time.Second}
	}
}

func (p *problem) write(w http.ResponseWriter) {
	if p.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(p.after, time.Second)/time.Second)))
	}
	write(w, p.status, map[string]any{"error": p})
}

func write(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the caller has gone
}
