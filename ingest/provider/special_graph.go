package provider

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tidwall/sjson"
)

const (
	graphList  = "value"
	graphState = "clientState"
	// graphDummy is the clientState, and the subscription, of what Graph
	// sends to see whether the endpoint is there.
	graphDummy = "NA"
)

// microsoftGraph signs nothing. Every notification carries the clientState
// that was chosen for its subscription, and that is all there is to check.
type microsoftGraph struct{}

// Bind implements Scheme.
func (microsoftGraph) Bind(b Binding) (Verifier, error) {
	secrets, err := decodeSecrets(b, "utf8")
	return graphVerifier{secrets}, err
}

type graphVerifier struct{ secrets [][]byte }

// Verify implements Verifier.
func (v graphVerifier) Verify(_ context.Context, d *Delivery) error {
	items, err := readGraph(d.Body)
	if err != nil {
		return err
	}
	for _, item := range items {
		state, ok := item[graphState].text()
		if !ok || state == "" {
			return fmt.Errorf("%w: a notification has no %s", ErrUnsigned, graphState)
		}
		if !v.holds(state) {
			return fmt.Errorf("%w: a notification's %s is none of the %d configured secrets", ErrMismatch, graphState, len(v.secrets))
		}
	}
	return nil
}

func (v graphVerifier) holds(state string) bool {
	matched := 0
	for _, secret := range v.secrets {
		matched |= subtle.ConstantTimeCompare([]byte(state), secret)
	}
	return matched == 1
}

// Greet implements Greeter. It acknowledges the dummy notifications, which
// carry no secret and no event.
func (v graphVerifier) Greet(_ context.Context, d *Delivery, verified bool) (*Answer, error) {
	if verified || d.Method != http.MethodPost {
		return nil, nil
	}
	items, err := readGraph(d.Body)
	if err != nil {
		return nil, nil //nolint:nilerr // no handshake: Verify says what is wrong
	}
	for _, item := range items {
		if item[graphState].scalar() != graphDummy || item["subscriptionId"].scalar() != graphDummy {
			return nil, nil
		}
	}
	return &Answer{Status: http.StatusAccepted, Header: http.Header{}}, nil
}

// Sign implements Signer.
func (v graphVerifier) Sign(d *Delivery) error {
	items, err := readGraph(d.Body)
	if err != nil {
		return err
	}
	for i := range items {
		path := graphList + "." + strconv.Itoa(i) + "." + graphState
		body, err := sjson.SetBytes(d.Body, path, string(v.secrets[0]))
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
		d.Body = body
	}
	return nil
}

func readGraph(data []byte) ([]map[string]member, error) {
	body, err := membersOf("the body", data)
	if err != nil {
		return nil, err
	}
	raws := body[graphList].list()
	if len(raws) == 0 {
		return nil, fmt.Errorf("%w: %q is empty or missing", ErrUnsigned, graphList)
	}
	items := make([]map[string]member, len(raws))
	for i, raw := range raws {
		if items[i], err = membersOf(graphList, raw); err != nil {
			return nil, err
		}
	}
	return items, nil
}

var (
	_ Signer  = graphVerifier{}
	_ Greeter = graphVerifier{}
)
