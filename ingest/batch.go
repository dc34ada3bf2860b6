package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/hookyard/hookyard/ingest/provider"
)

// distinct gives the events of one delivery ids that differ. A delivery is
// never a redelivery of itself, so two events of it with one id are either the
// same event, if their bytes are the same, or two events whose provider gave
// them one id. Of the first only one is kept. Of the second both are: the later
// one gets an id that ends in a hash of its bytes.
//
// It counts and logs what it finds, because an id that two events share may
// also be shared by two deliveries, and then the second one would be lost.
func (s *Server) distinct(ctx context.Context, source *Source, identities []provider.Identity) []provider.Identity {
	if len(identities) < 2 {
		return identities
	}
	payloads := make(map[string][]byte, len(identities)) // by id
	kept := identities[:0:0]
	same, renamed := 0, 0
	for _, identity := range identities {
		payload, taken := payloads[identity.ID]
		if taken && !bytes.Equal(payload, identity.Payload) {
			renamed++
			sum := sha256.Sum256(identity.Payload)
			identity.ID += ":" + hex.EncodeToString(sum[:8])
			payload, taken = payloads[identity.ID]
			taken = taken && bytes.Equal(payload, identity.Payload)
		}
		if taken {
			same++
			continue
		}
		payloads[identity.ID] = identity.Payload
		kept = append(kept, identity)
	}
	if same+renamed > 0 {
		s.metrics.sharedIDs(ctx, source, same, renamed)
		s.logger.WarnContext(ctx, "events of one delivery share an id: equal ones are stored once, others each under an id with a hash; check the provider file's event.id",
			"source", source.name, "provider", source.Provider.Name(), "equal", same, "different", renamed)
	}
	return kept
}
