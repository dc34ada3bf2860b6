package provider

import (
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"
)

// Spec is a provider file. A value source, where one is asked for, is
//
//	header:NAME      the one header of that name
//	json:PATH        a string or number in a JSON body, by gjson path
//	form:FIELD       a field of a form body; form:FIELD|PATH for JSON inside it
//	query:NAME       a parameter of the URL's query
//	body:sha256      the hex digest of the raw body
//	{…}-{…}          several of them composed, all of which must be there
type Spec struct {
	// Name is what an operator writes in `provider:` and the first part of
	// a Workflow Type. Histories hold it: never rename a provider.
	Name string `yaml:"name"`
	// Docs is the address of the provider's page about its webhooks.
	Docs string `yaml:"docs"`
	// Configurable allows a source to give signature, secret, event and
	// retries itself. It is what makes the generic provider generic.
	Configurable bool `yaml:"configurable"`

	Signature  SignatureSpec   `yaml:"signature"`
	Secret     SecretSpec      `yaml:"secret"`
	Event      EventSpec       `yaml:"event"`
	Handshakes []HandshakeSpec `yaml:"handshakes"`
	Retries    RetriesSpec     `yaml:"retries"`
	// Samples names, by event type, files with a body to try things with.
	Samples map[string]string `yaml:"samples"`
}

// SignatureSpec is where the signature stands and what it is computed over.
type SignatureSpec struct {
	// Header is the header that holds it, or several, the first one present
	// being used.
	Header OneOrMore `yaml:"header"`
	// Prefix stands before the signature, case and all ("sha256=").
	Prefix string `yaml:"prefix"`
	// List is given where the header holds several items.
	List *ListSpec `yaml:"list"`
	// Timestamp is given where a time is signed.
	Timestamp *TimestampSpec `yaml:"timestamp"`
	// Algorithm is one of hmac-sha1, hmac-sha256, hmac-sha512, ed25519, or
	// token (the header holds the secret itself).
	Algorithm string `yaml:"algorithm"`
	// Encoding is hex (of either case) or base64; none for token.
	Encoding string `yaml:"encoding"`
	// Content is what is signed: text with {body}, {timestamp} (as sent),
	// {id} (the event id), {url}, {method} and {SOURCE} in it.
	Content string `yaml:"content"`
}

// ListSpec says how a header with several items is taken apart.
type ListSpec struct {
	// Separator stands between items: "," or " ". Blanks around an item do
	// not count.
	Separator string `yaml:"separator"`
	// Key stands between an item's name and its value ("=" or ",").
	Key string `yaml:"key"`
	// Want names the items that are signatures. All of them are tried; the
	// first is what signing writes.
	Want []string `yaml:"want"`
}

// TimestampSpec is where the signed time stands.
type TimestampSpec struct {
	// From is "signature" for an item of the list, else one or more value
	// sources, of which the first with a value is used.
	From OneOrMore `yaml:"from"`
	// Key is the item's name, with From: signature.
	Key string `yaml:"key"`
	// Unit is s, ms or iso8601. Default s.
	Unit string `yaml:"unit"`
	// Tolerance is how far the time may be from the clock, on either side;
	// a time exactly that far is taken.
	Tolerance Duration `yaml:"tolerance"`
}

// SecretSpec is how the text an operator is given becomes a key.
type SecretSpec struct {
	// Encoding is utf8 (the text as it is), base64 or hex. Default utf8.
	Encoding string `yaml:"encoding"`
	// Prefix is taken off before decoding, where it is there.
	Prefix OneOrMore `yaml:"prefix"`
}

// EventSpec names what happened. Of each list the first source with a value
// is used.
type EventSpec struct {
	// ID must be the same in every redelivery and differ between events.
	ID []string `yaml:"id"`
	// Type may find nothing: the event is then untyped.
	Type []string `yaml:"type"`
}

// HandshakeSpec is a request that proves who owns the endpoint and carries no
// event.
type HandshakeSpec struct {
	// Method is the HTTP method. Default POST.
	Method string `yaml:"method"`
	// When holds, by value source, what must be there; "*" for anything.
	When map[string]string `yaml:"when"`
	// Signed handshakes are answered only once their signature is verified.
	Signed bool `yaml:"signed"`
	// Answer is what the provider expects.
	Answer AnswerSpec `yaml:"answer"`
}

// AnswerSpec is an HTTP response. Its texts may hold {SOURCE}.
type AnswerSpec struct {
	Status int               `yaml:"status"` // default 200
	Header map[string]string `yaml:"header"`
	Body   string            `yaml:"body"`
}

// RetriesSpec is what the provider does about an answer it does not like.
type RetriesSpec struct {
	// For is how long after the first attempt it still redelivers, by
	// itself or by a button that people press.
	For Duration `yaml:"for"`
	// AcknowledgeWithin is how long it waits for an answer.
	AcknowledgeWithin Duration `yaml:"acknowledge_within"`
}

// OneOrMore is a text, or a list of texts.
type OneOrMore []string

// UnmarshalYAML takes either form.
func (o *OneOrMore) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*o = OneOrMore{node.Value}
		return nil
	}
	var more []string
	if err := node.Load(&more); err != nil {
		return errors.New("want a text or a list of texts")
	}
	*o = more
	return nil
}

// Duration is a time.Duration written as Go writes it ("72h").
type Duration time.Duration

// UnmarshalYAML takes a Go duration above zero.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	v, err := time.ParseDuration(node.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration above zero such as 5m or 72h", node.Value)
	}
	*d = Duration(v)
	return nil
}
