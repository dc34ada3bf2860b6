package hookyardtest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// Event is an event as the edge would start a Workflow with it. A test may
// change any field of it before Start.
type Event struct {
	event.Event
	// Payload is what the provider signed, byte for byte.
	Payload []byte

	raw converter.RawValue // says whether the payload is JSON
}

// receivedAt is when the events of this package came in, and when their runs
// start: the same in each test.
func receivedAt() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// Sample returns the event in a provider's sample, which `providers show` of
// the program's command line lists. The provider is one of Hookyard's own or of
// app.Providers. The event type may be "" for the first sample by name.
//
// The Event has the id, the type and the headers that the edge would take from
// a delivery of the sample to a source with the provider's name. It was
// received at 2026-01-01 00:00 UTC.
func Sample(t testing.TB, app hookyard.App, providerName, eventType string) Event {
	t.Helper()
	p := find(t, app, providerName)
	sample, eventType, known := p.Sample(eventType)
	if sample == nil {
		t.Fatalf("provider %q has no sample %q%s; take a body of your own with hookyardtest.Body", providerName, eventType, config.Suggest(eventType, known))
	}
	return delivered(t, p, providerName, eventType, nil, bytes.Clone(sample))
}

// Body returns the event in a body, which may be one that the provider sent.
//
// The header holds what the provider sends along, or nil. An event type other
// than "" is written to where the provider puts it, if it is not there already:
// into the header, or into the body. Of a batch, it is the first event.
func Body(t testing.TB, app hookyard.App, providerName, eventType string, header http.Header, body []byte) Event {
	t.Helper()
	return delivered(t, find(t, app, providerName), providerName, eventType, header, bytes.Clone(body))
}

// File is Body without a header, for the body in a file. A relative path
// begins at the folder of the test's package.
func File(t testing.TB, app hookyard.App, providerName, eventType, path string) Event {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read the body of an event: %v", err)
	}
	return Body(t, app, providerName, eventType, nil, body)
}

// program is what the internal packages know of an App.
func program(app hookyard.App) command.App {
	p := command.App{Workflows: app.Workflows, Config: app.Config, Providers: app.Providers, Schemes: app.Schemes}
	if app.Open != nil {
		p.Open = func(ctx context.Context, s command.Setup) ([]any, func() error, error) {
			return app.Open(ctx, hookyard.Setup(s))
		}
	}
	return p
}

func find(t testing.TB, app hookyard.App, name string) *provider.Provider {
	t.Helper()
	catalog, err := program(app).Catalog()
	if err != nil {
		t.Fatalf("the App's providers: %v", err)
	}
	p, known := catalog.Lookup(name)
	if !known {
		t.Fatalf("unknown provider %q%s; a file for it belongs to App.Providers", name, config.Suggest(name, catalog.Names()))
	}
	return p
}

func delivered(t testing.TB, p *provider.Provider, source, eventType string, header http.Header, body []byte) Event {
	t.Helper()
	r := receiver(p)
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/"+source, body)
	d.ReceivedAt = receivedAt()
	for name, values := range header {
		d.Header[http.CanonicalHeaderKey(name)] = values
	}
	if err := r.Stamp(d, "", eventType); err != nil {
		t.Fatalf("write the event type %q: %v", eventType, err)
	}
	events, err := ingest.Unsigned(source, r, d)
	switch {
	case err != nil:
		t.Fatalf("the edge would not take this as an event of provider %q: %v", p.Name(), err)
	case len(events) == 0:
		t.Fatalf("the body is a batch of provider %q without an event in it", p.Name())
	}
	return Event{Event: events[0].Event, Payload: events[0].Payload.Payload().GetData(), raw: events[0].Payload}
}

// receiver binds the provider to a secret that nothing is signed with: some
// schemes take part in naming the event.
func receiver(p *provider.Provider) *provider.Receiver {
	options := map[string]string{}
	for name, o := range p.Spec().Options {
		if o.Required {
			options[name] = "test"
		}
	}
	b := provider.Binding{Secrets: []string{strings.Repeat("00112233", 8)}, Options: options}
	if r, err := p.Bind(b); err == nil {
		return r
	}
	if public, _, err := p.GenerateKey(); err == nil {
		b.Secrets = []string{public}
		if r, err := p.Bind(b); err == nil {
			return r
		}
	}
	return p.BindHandshakes(b)
}

// payload is the Workflow's second argument. A test that changed the bytes has
// a payload that keeps its encoding.
func (e Event) payload() converter.RawValue {
	isJSON := e.raw.Payload() == nil || string(e.raw.Payload().GetMetadata()[converter.MetadataEncoding]) == converter.MetadataEncodingJSON
	return ingest.Payload(e.Payload, isJSON)
}

// handled ends the test where no Workflow of the App is for the event.
func (e Event) handled(app hookyard.App) error {
	var patterns []string
	for _, h := range app.Workflows {
		if event.Match(h.Pattern(), e.WorkflowType()) {
			return nil
		}
		patterns = append(patterns, h.Pattern())
	}
	return fmt.Errorf("App.Workflows has none for %q%s; add one with hookyard.On", e.WorkflowType(), config.Suggest(e.WorkflowType(), patterns))
}
