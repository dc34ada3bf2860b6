package provider

import (
	"fmt"
	"strings"
	"time"
)

// convoy is how a gateway by that name signs. Who sends through it chooses the
// hash and the encoding, and whether a time is signed along, so the options say
// what a file cannot.
type convoy struct{}

// Bind implements Scheme.
func (convoy) Bind(b Binding) (Verifier, error) {
	sig := SignatureSpec{
		Header:    OneOrMore{"X-Convoy-Signature"},
		Algorithm: "hmac-" + strings.ToLower(b.Options["hash"]),
		Encoding:  b.Options["encoding"],
		Content:   "{body}",
	}
	switch advanced := b.Options["advanced"]; advanced {
	case "true":
		sig.Content = "{timestamp},{body}"
		sig.List = &ListSpec{Separator: ",", Key: "=", Want: []string{"v1"}}
		sig.Timestamp = &TimestampSpec{From: OneOrMore{"signature"}, Key: "t", Tolerance: Tolerance(5 * time.Minute)}
	case "false":
	default:
		return nil, fmt.Errorf("option advanced is %q; want true or false", advanced)
	}
	c := &compiler{}
	scheme := c.declared(&Spec{Signature: sig, Secret: SecretSpec{Encoding: "utf8"}}, nil)
	if len(c.problems) > 0 {
		return nil, c.problems[0]
	}
	return scheme.Bind(b)
}
