package provider_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing/fstest"
	"time"

	"github.com/hookyard/hookyard/ingest/provider"
)

// wharf signs the body backwards, which no provider file can say.
type wharf struct{}

// Bind implements provider.Scheme.
func (wharf) Bind(b provider.Binding) (provider.Verifier, error) {
	if len(b.Secrets) == 0 {
		return nil, errors.New("no secret: give the one that the Wharf console shows")
	}
	return boundWharf{b.Secrets}, nil
}

type boundWharf struct{ secrets []string }

// Verify implements provider.Verifier.
func (w boundWharf) Verify(_ context.Context, d *provider.Delivery) error {
	text := d.Header.Get("X-Wharf-Signature")
	if text == "" {
		return fmt.Errorf("%w: header X-Wharf-Signature is missing", provider.ErrUnsigned)
	}
	signature, err := hex.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: header X-Wharf-Signature is not hex", provider.ErrMalformed)
	}
	matched := false
	for _, secret := range w.secrets {
		matched = hmac.Equal(signature, wharfSum(secret, d.Body)) || matched
	}
	if !matched {
		return fmt.Errorf("%w under any of the configured secrets", provider.ErrMismatch)
	}
	return nil
}

// Sign implements provider.Signer.
func (w boundWharf) Sign(d *provider.Delivery) error {
	d.Header.Set("X-Wharf-Signature", hex.EncodeToString(wharfSum(w.secrets[0], d.Body)))
	return nil
}

func wharfSum(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	for i := range body {
		mac.Write(body[len(body)-1-i:][:1])
	}
	return mac.Sum(nil)
}

// A team's own scheme and the provider file that names it.
func Example() {
	catalog, err := provider.Builtin()
	if err != nil {
		panic(err)
	}
	if err := catalog.AddSchemes(map[string]provider.Scheme{"wharf": wharf{}}); err != nil {
		panic(err)
	}
	problems := catalog.Add(fstest.MapFS{"wharf.yaml": {Data: []byte(`
name: wharf
docs: https://wharf.example/webhooks
signature: {scheme: wharf, header: X-Wharf-Signature}
event: {id: [body:sha256], type: [json:kind]}
retries: {for: 24h, acknowledge_within: 10s}
`)}})
	if len(problems) > 0 {
		panic(problems[0])
	}
	p, _ := catalog.Lookup("wharf")
	receiver, err := p.Bind(provider.Binding{Secrets: []string{"s3cret"}})
	if err != nil {
		panic(err)
	}

	d := provider.SampleDelivery("https://hooks.example.com/webhooks/wharf", []byte(`{"kind":"ship.arrived"}`))
	d.ReceivedAt = time.Now()
	if err := receiver.Sign(d); err != nil {
		panic(err)
	}
	events, err := receiver.Identify(d)
	fmt.Println(receiver.Verify(context.Background(), d), events[0].Type, err)
	d.Body = []byte(`{"kind":"ship.sunk"}`)
	fmt.Println(receiver.Verify(context.Background(), d))
	// Output:
	// <nil> ship.arrived <nil>
	// signature does not match under any of the configured secrets
}
