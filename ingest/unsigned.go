package ingest

import (
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// Started is an event as the edge starts a Workflow with it.
type Started struct {
	event.Event
	Payload converter.RawValue
}

// Unsigned returns the events of a delivery to a source of that name with the
// defaults of the config. Nobody verifies the signature: it is for tests, which
// have no secret.
func Unsigned(name string, r *provider.Receiver, d *provider.Delivery) ([]Started, error) {
	source := &Source{Provider: r, name: name, headers: headerFilter{provider: r.SensitiveHeaders()}}
	identities, err := r.Identify(d)
	if err != nil {
		return nil, err
	}
	common := source.event(d)
	var all []Started
	for _, identity := range identities {
		all = append(all, Started{source.identified(common, identity, len(d.Body)), Payload(identity.Payload, identity.JSON)})
	}
	return all, nil
}
