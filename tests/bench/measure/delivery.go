package measure

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// providerName and eventType say what is sent: the invoice of the demo, for
// which there is a Workflow with one step.
const (
	providerName = "stripe"
	eventType    = "invoice.paid"
	unwantedType = "charge.failed"
)

// usualBody is a common size of a webhook, in bytes.
const usualBody = 2 << 10

// eventIDHeader tells the contestants that do not look into the body which
// event is in it. Hookyard takes no notice.
const eventIDHeader = "Bench-Event-Id"

// delivery is one signed event. Every contestant gets the same ones.
type delivery struct {
	id     string
	header http.Header
	body   []byte
}

// event is what Hookyard makes of the delivery at the given source.
func (d delivery) event(source string) event.Event {
	return event.Event{
		Source: source, Provider: providerName, ID: d.id, Type: eventType,
		ReceivedAt: time.Now().UTC(), ContentType: d.header.Get("Content-Type"),
	}
}

// factory signs events.
type factory struct {
	token  string
	signer *provider.Receiver
}

func newFactory(token, secret string) (*factory, error) {
	catalog, err := provider.Builtin()
	if err != nil {
		return nil, err
	}
	p, ok := catalog.Lookup(providerName)
	if !ok {
		return nil, fmt.Errorf("there is no provider %q", providerName)
	}
	signer, err := p.Bind(provider.Binding{Secrets: []string{secret}})
	if err != nil {
		return nil, err
	}
	return &factory{token: token, signer: signer}, nil
}

// batch returns n new events of the given size, signed now: they are to be
// sent within minutes. The name is in their ids, and no other batch's.
func (f *factory) batch(name string, n, size int) ([]delivery, error) {
	deliveries := make([]delivery, n)
	for i := range deliveries {
		var err error
		if deliveries[i], err = f.delivery(f.prefix(name)+fmt.Sprint(i), size); err != nil {
			return nil, err
		}
	}
	return deliveries, nil
}

// unwanted is as batch, with a type that no source wants.
func (f *factory) unwanted(name string, n, size int) ([]delivery, error) {
	deliveries := make([]delivery, n)
	for i := range deliveries {
		var err error
		id := f.prefix(name) + fmt.Sprint(i)
		body := bytes.Replace(invoice(id, size), []byte(eventType), []byte(unwantedType), 1)
		if deliveries[i], err = f.signed(id, body); err != nil {
			return nil, err
		}
	}
	return deliveries, nil
}

// delivery returns an event with that id, signed now.
func (f *factory) delivery(id string, size int) (delivery, error) {
	return f.signed(id, invoice(id, size))
}

func (f *factory) signed(id string, body []byte) (delivery, error) {
	d := provider.SampleDelivery("", body)
	d.ReceivedAt = time.Now()
	if err := f.signer.Sign(d); err != nil {
		return delivery{}, err
	}
	d.Header.Set(eventIDHeader, id)
	return delivery{id: id, header: d.Header, body: d.Body}, nil
}

// prefix is what the ids of a batch start with.
func (f *factory) prefix(name string) string { return "evt_" + f.token + "_" + name + "_" }

// invoice is an invoice.paid of exactly so many bytes, in lines that compress
// as such lists do. It names nobody to mail to, so its Workflow has one step.
func invoice(id string, size int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"object":"event","created":1767225600,"data":{"object":{"id":"in_%s","customer":"cus_1","amount_paid":4900,"currency":"eur","lines":[`, id)
	tail := fmt.Sprintf(`{}]}},"type":%q,"id":%q}`, eventType, id)
	for line := 0; ; line++ {
		text := fmt.Sprintf(`{"id":"il_%d","amount":%d,"currency":"eur","description":"item %x"},`, line, line*7919%10000, line*2654435761)
		if b.Len()+len(text)+len(tail) > size {
			break
		}
		b.WriteString(text)
	}
	b.WriteString(strings.Repeat(" ", max(size-b.Len()-len(tail), 0)))
	b.WriteString(tail)
	return []byte(b.String())
}
