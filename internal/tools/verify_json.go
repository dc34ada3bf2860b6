package tools

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hookyard/hookyard/ingest/provider"
)

// judge holds deliveries against providers, one JSON object a line.
type judge struct {
	catalog  *provider.Catalog
	receiver *provider.Receiver // for lines that name no provider; may be nil
	now      func() time.Time   // for lines without now_unix
}

// verdictLine is one line of what `verify --json` prints. It is for programs:
// fields may be added, and none is renamed.
type verdictLine struct {
	ID     json.RawMessage `json:"id"` // as it came
	Accept bool            `json:"accept"`
	// Reason is a short stable word, "" where there is nothing to say: a
	// genuine delivery without an event is accepted, with "no-event".
	Reason  string `json:"reason"`
	Because string `json:"because,omitempty"` // for people
	// EventID and EventType are those of the first event; null for none.
	EventID   *string       `json:"event_id"`
	EventType *string       `json:"event_type"`
	Events    []eventLine   `json:"events,omitempty"` // where the provider batches
	Response  *responseLine `json:"response,omitempty"`
}

type eventLine struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type responseLine struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body,omitempty"` // left out where any will do
}

// badLine is the reason of a line that holds no delivery to judge.
const badLine = "bad-line"

// maxLine is the longest line that is read, in bytes. The largest delivery
// that Temporal can hold is an eighth of it in base64.
const maxLine = 32 << 20

var errLineTooLong = fmt.Errorf("the line is longer than %d MiB", maxLine>>20)

// lines answers every line of in. The error is of reading or writing; a line
// that is wrong has its answer like any other.
func (j judge) lines(ctx context.Context, in io.Reader, out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	reader := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ctx.Err() == nil; n++ {
		line, err := readBounded(reader, maxLine)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errLineTooLong):
			return fmt.Errorf("line %d: %w", n, err)
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		}
		answer := verdictLine{ID: json.RawMessage("null")}
		if err == nil {
			answer, err = j.line(ctx, line)
		}
		if err != nil {
			answer.Reason, answer.Because = badLine, fmt.Sprintf("line %d: %v", n, err)
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// readBounded returns the next line without its end, and io.EOF after the
// last. A line that is too long is read to its end and not kept.
func readBounded(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > most; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return nil, err
		case long:
			return nil, errLineTooLong
		default:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
	}
}

// line judges one delivery. The error says why the line holds none.
func (j judge) line(ctx context.Context, text []byte) (verdictLine, error) {
	l, err := readDelivery(text)
	answer := verdictLine{ID: l.ID}
	if err != nil {
		return answer, err
	}
	receiver, err := j.bind(l)
	if err != nil {
		return answer, err
	}
	d := l.delivery(j.now())
	v := judgeDelivery(ctx, receiver, d)
	answer.Accept, answer.Reason = v.refused == nil, v.reason()
	switch {
	case v.refused != nil:
		answer.Because = v.refused.Error()
	case answer.Reason != "":
		answer.Because = v.unnamed.Error()
	}
	if len(v.events) > 0 {
		answer.EventID = &v.events[0].ID
	}
	if eventType := receiver.EventType(d); eventType != "" {
		answer.EventType = &eventType
	}
	if receiver.Batches() {
		for _, e := range v.events {
			answer.Events = append(answer.Events, eventLine{e.ID, e.Type})
		}
	}
	answer.Response = v.response()
	return answer, nil
}

// response is what the provider is told, where that is not for the edge alone
// to say.
func (v verdict) response() *responseLine {
	switch {
	case v.answer != nil:
		body := string(v.answer.Body)
		l := &responseLine{Status: v.answer.Status, Headers: map[string]string{}, Body: &body}
		for name := range v.answer.Header {
			l.Headers[name] = v.answer.Header.Get(name)
		}
		return l
	case provider.Reason(v.refused) != "":
		return &responseLine{Status: http.StatusUnauthorized, Headers: map[string]string{}}
	default:
		return nil
	}
}
