package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/sjson"
)

// Sign makes d verify at d.ReceivedAt, as the provider would send it. The
// error says why this scheme or this secret cannot sign.
func (r *Receiver) Sign(d *Delivery) error {
	s, ok := r.verifier.(Signer)
	if !ok {
		return fmt.Errorf("%s signs with a key that only it holds", r.Name())
	}
	return s.Sign(d)
}

// SignedContent returns the bytes that the provider signs for d.
func (r *Receiver) SignedContent(d *Delivery) ([]byte, error) {
	e, ok := r.verifier.(Explainer)
	if !ok {
		return nil, fmt.Errorf("the signed content of %s cannot be shown", r.Name())
	}
	return e.SignedContent(d)
}

// Sign implements Signer, under the first secret.
func (s *verifier) Sign(d *Delivery) error {
	v := &view{Delivery: d}
	if s.timestamp != nil {
		v.timestamp = clockUnits[s.timestamp.unit].format(d.ReceivedAt)
		if s.timestamp.item == "" {
			if err := putFirst(s.timestamp.from, d, v.timestamp); err != nil {
				return fmt.Errorf("timestamp: %w", err)
			}
		}
	}
	content, err := s.signedContent(v)
	if err != nil {
		return err
	}
	signature, err := s.keys[0].sign(content)
	if err != nil {
		return err
	}
	d.Header.Set(s.headers[0], s.assemble(s.prefix+encodings[s.encoding].encode(signature), v.timestamp))
	return nil
}

func (s *declared) assemble(signature, timestamp string) string {
	if s.list == nil {
		return signature
	}
	signature = s.list.Want[0] + s.list.Key + signature
	if s.timestamp != nil && s.timestamp.item != "" {
		return s.timestamp.item + s.list.Key + timestamp + s.list.Separator + signature
	}
	return signature
}

// Stamp writes an event id and type into d where the provider would put them.
// An empty one is left as it is.
func (r *Receiver) Stamp(d *Delivery, id, eventType string) error {
	if id != "" {
		if err := putFirst(r.ids, d, id); err != nil {
			return fmt.Errorf("event id: %w", err)
		}
	}
	if eventType != "" {
		if err := putFirst(r.types, d, eventType); err != nil {
			return fmt.Errorf("event type: %w", err)
		}
	}
	return nil
}

// putFirst writes to the source that has a value already, else to the first.
func putFirst(sources []source, d *Delivery, value string) error {
	if len(sources) == 0 {
		return errors.New("the provider sends none")
	}
	v := &view{Delivery: d}
	for _, s := range sources {
		if got, ok := s.find(v); ok && got != "" {
			return s.put(d, value)
		}
	}
	return sources[0].put(d, value)
}

// put writes a value where the source will find it.
func (s source) put(d *Delivery, value string) error {
	switch s.kind {
	case "header":
		d.Header.Set(s.arg, value)
	case "json":
		body, err := sjson.SetBytes(d.Body, s.arg, value)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		d.Body = body
	case "form":
		if strings.Contains(s.arg, "|") {
			return fmt.Errorf("%s cannot be written", s)
		}
		form, err := url.ParseQuery(string(d.Body))
		if err != nil {
			return fmt.Errorf("%s: the body is not a form: %w", s, err)
		}
		form.Set(s.arg, value)
		d.Body = []byte(form.Encode())
	default:
		return fmt.Errorf("%s cannot be written", s)
	}
	return nil
}

// Sample returns a body to try the provider with, for the given event type or,
// if that is "", the first type by name. known lists the types there are.
func (p *Provider) Sample(eventType string) (sample []byte, chosen string, known []string) {
	known = sortedKeys(p.samples)
	if eventType == "" && len(known) > 0 {
		eventType = known[0]
	}
	return p.samples[eventType], eventType, known
}

// SampleDelivery returns an unsigned POST of the body.
func SampleDelivery(target string, body []byte) *Delivery {
	return &Delivery{
		Method: http.MethodPost,
		URL:    target,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
	}
}
