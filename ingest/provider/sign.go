package provider

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
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
func (s *boundScheme) Sign(d *Delivery) error {
	v := &view{Delivery: d, options: s.options}
	if s.timestamp != nil {
		v.timestamp = s.timestamp.format(d.ReceivedAt)
		if s.timestamp.item == "" {
			if err := putFirst(s.timestamp.from, d, v.timestamp); err != nil {
				return fmt.Errorf("timestamp: %w", err)
			}
		}
	}
	for _, p := range s.content {
		p.putNonce(v)
	}
	content, err := s.signedContent(v, s.secrets[0])
	if err != nil {
		return err
	}
	signature, err := s.keys[0].sign(content)
	if err != nil {
		return err
	}
	prefix := strings.Join(s.prefixes[:min(1, len(s.prefixes))], "")
	return s.places[0].put(d, s.assemble(prefix+encodings[s.encoding].encode(signature), v.timestamp))
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

// putNonce fills a signed header that is not there: besides the id and the
// time, what stands in a header of its own is a nonce. The same delivery at the
// same time gets the same one.
func (p part) putNonce(v *view) {
	if p.lookup == nil || p.lookup.kind != "header" {
		return
	}
	if _, there := p.find(v); there {
		return
	}
	sum := sha256.Sum256(strconv.AppendInt(bytes.Clone(v.Body), v.ReceivedAt.UnixNano(), 10))
	v.Header.Set(p.lookup.arg, hex.EncodeToString(sum[:16]))
}
