package provider

import (
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"
)

// Spec is a provider file. A lookup, where one is asked for, is
//
//	header:NAME      the one header of that name
//	json:PATH        a string or number in a JSON body, by gjson path
//	item:PATH        the same in the one item of a batch (see EventSpec.Each)
//	raw:PATH         the JSON at a path of the item, as it stands
//	form:FIELD       a field of a form body; form:FIELD|PATH for JSON inside it
//	query:NAME       a parameter of the URL's query
//	key:A|B|C        the name of the first of these keys of the item, or else
//	                 of the JSON body, that is there
//	otherkey:A|B     the name of the first key that is none of these
//	body:sha256      the hex digest of the raw body, less attempt_fields; none
//	                 of an empty one
//	item:sha256      the hex digest of the item's bytes, less attempt_fields
//	delivery:sha256  the digest of the item in a batch, else that of the body,
//	                 or of the URL's query where a GET has no body
//	delivery:random  32 hex digits, new in every delivery: a redelivery is
//	                 then a new event, and no event is taken for another
//	option:NAME      what the operator gave for that option, or its default
//	{…}-{…}          several of them composed, all of which must be there
//
// Any of them but a composed one may end in ~^REGEXP: it then has a value only
// where the value matches.
type Spec struct {
	// Name is what an operator writes in `provider:` and the first part of
	// a Workflow Type. Histories hold it: never rename a provider.
	Name string `yaml:"name"`
	// Aliases are names of senders that do everything the same way. Each is
	// a provider of its own, so that Workflow Types start with its name.
	Aliases []string `yaml:"aliases"`
	// Docs is the address of the provider's page about its webhooks.
	Docs string `yaml:"docs"`
	// Configurable allows a source to give signature, secret, event and
	// retries itself. It is what makes the generic provider generic.
	Configurable bool `yaml:"configurable"`
	// Methods are the HTTP methods that deliveries come by. Default POST.
	// Those of handshakes need not be named.
	Methods OneOrMore `yaml:"methods"`

	Signature  SignatureSpec   `yaml:"signature"`
	Secret     SecretSpec      `yaml:"secret"`
	Event      EventSpec       `yaml:"event"`
	Handshakes []HandshakeSpec `yaml:"handshakes"`
	// Body is "object" where every delivery's body is a JSON object. Any
	// other body is then refused before its signature is looked at. A file
	// with a handshake that computes an HMAC for whoever asks has to say so.
	Body string `yaml:"body"`
	// Success is the answer to a delivery that was taken, where the provider
	// wants a certain one; of several, the first whose `when` holds. Default
	// 200 and what became of the delivery, as JSON. A body that is left out
	// is empty.
	Success SuccessSpecs `yaml:"success"`
	// Refused is the answer to a delivery that does not verify. Default 401
	// and a problem detail. A body that is left out is empty.
	Refused *AnswerSpec `yaml:"refused"`
	Retries RetriesSpec `yaml:"retries"`
	// AliasRetries are the retries of those aliases that differ in them.
	AliasRetries map[string]RetriesSpec `yaml:"alias_retries"`
	// Options are what an operator has to tell, or may, besides secrets.
	Options map[string]OptionSpec `yaml:"options"`
	// Reconcile is how to ask the provider's API what has happened, so that
	// events are found whose delivery never came. Left out where it has no
	// such API, or where the ids in it are not those of deliveries.
	Reconcile *ReconcileSpec `yaml:"reconcile"`
	// Samples names, by event type, files with a body to try things with.
	Samples map[string]string `yaml:"samples"`
}

// SignatureSpec is where the signature stands and what it is computed over.
type SignatureSpec struct {
	// Scheme names a scheme that is written in Go, because no parameters
	// describe it: one of Hookyard's own or of the team's program. All other
	// keys but Header are then left out.
	Scheme string `yaml:"scheme"`
	// Header is the header that holds the signature, or several, the first
	// one present being used. NAME-{1..100} stands for a hundred headers.
	// Beside Scheme it names the headers in which that scheme looks for
	// signatures and secrets. They are left out of the stored Event.
	Header OneOrMore `yaml:"header"`
	// From is given where the signature may stand elsewhere: lookups
	// such as query:signature, looked into after the headers.
	From OneOrMore `yaml:"from"`
	// Any makes every header or source that is there a candidate, and not
	// just the first.
	Any bool `yaml:"any"`
	// Prefix stands before the signature, case and all ("sha256="). Of
	// several, one has to; "" among them allows for none.
	Prefix OneOrMore `yaml:"prefix"`
	// List is given where the header holds several items.
	List *ListSpec `yaml:"list"`
	// Timestamp is given where a time is signed.
	Timestamp *TimestampSpec `yaml:"timestamp"`
	// Algorithm is one of
	//
	//	hmac-sha1, hmac-sha256, hmac-sha512
	//	ed25519      the secret is the provider's public key, of 32 bytes
	//	ecdsa-p256   of the content's SHA-256, in DER; the secret is the
	//	             public key as a DER SubjectPublicKeyInfo
	//	rsa-sha256   PKCS #1 v1.5 of the content's SHA-256; the secret is
	//	             the public key, or its certificate, in PEM or in base64
	//	             of DER
	//	md5, sha1, sha256, sha512
	//	             a plain digest of a content that has {secret} in it
	//	token        no signature: the secret itself. With prefix "Basic "
	//	             and encoding base64, basic auth; the secret is then
	//	             USER:PASSWORD.
	Algorithm string `yaml:"algorithm"`
	// Encoding is hex (of either case) or base64; token defaults to utf8.
	Encoding string `yaml:"encoding"`
	// Content is what is signed: text with {body}, {timestamp} (as sent),
	// {id} (the event id), {url}, {baseurl} (url without its query),
	// {method}, {secret} (plain digests only) and {LOOKUP} in it.
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
	// From is "signature" for an item of the list, else one or more lookups,
	// of which the first with a value is used. One in the body
	// (json:PATH) is signed with the body.
	From OneOrMore `yaml:"from"`
	// Key is the item's name, with From: signature.
	Key string `yaml:"key"`
	// Unit is s, ms or iso8601. Default s.
	Unit string `yaml:"unit"`
	// Tolerance is how far the time may be from the clock, on either side;
	// a time exactly that far is taken. "none" where the provider sends old
	// deliveries again under their first time, so that a window would lose
	// them; the time is then held against the clock only where a source sets
	// a tolerance.
	Tolerance Tolerance `yaml:"tolerance"`
	// PastOnly takes a time in the future however far ahead it is, for
	// providers whose clocks are known to run ahead.
	PastOnly bool `yaml:"past_only"`
}

// SecretSpec is how the text an operator is given becomes a key.
type SecretSpec struct {
	// Encoding is utf8 (the text as it is), base64 or hex. Default utf8.
	Encoding string `yaml:"encoding"`
	// Prefix is taken off before decoding, where it is there.
	Prefix OneOrMore `yaml:"prefix"`
	// Unprefixed is the encoding of a secret that starts with none of the
	// prefixes. Default the same as Encoding.
	Unprefixed string `yaml:"unprefixed"`
	// Also are other makes of this provider's secrets, which the text alone
	// does not always tell apart: a text that is of one of them too gives a
	// key more. Each key verifies; the one above signs.
	Also []MakeSpec `yaml:"also"`
	// Later says that the provider makes the secret only once the endpoint
	// answers. A source may then start without one; until it has one it
	// answers handshakes and refuses everything else.
	Later bool `yaml:"later"`
}

// MakeSpec is one more way in which a secret's text becomes a key.
type MakeSpec struct {
	// Encoding is utf8, base64 or hex. A text that is not in it is not of
	// this make.
	Encoding string `yaml:"encoding"`
	// Prefix is taken off before decoding. A text that starts with none of
	// the prefixes is not of this make. Default none, for every text.
	Prefix OneOrMore `yaml:"prefix"`
}

// EventSpec names what happened. Of each list the first lookup with a value is
// used.
type EventSpec struct {
	// ID is the same in every redelivery of an event, and no two events share
	// it. An id that names a thing (an order) and not what happened to it has
	// to be composed with item:sha256 or body:sha256; where even equal bytes
	// may be two events, with delivery:random. If no lookup finds an id,
	// delivery:sha256 is used.
	ID []string `yaml:"id"`
	// Unique says of a lookup in ID, without a digest in it, where the
	// provider documents that its value is one per event.
	Unique map[string]string `yaml:"unique"`
	// NoFallback says why a delivery in which no lookup finds an id is not an
	// event. It is then answered 422.
	NoFallback string `yaml:"no_fallback"`
	// AttemptFields are the gjson paths of what may differ between two
	// deliveries of one event, such as a count of attempts: in the item of a
	// batch, else in the body. Digests leave them out.
	AttemptFields []string `yaml:"attempt_fields"`
	// Type may find nothing: the event is then untyped.
	Type []string `yaml:"type"`
	// Each is where the list stands in a delivery that carries several
	// events: json:PATH; form:FIELD|PATH; lines:PATH where the body may also
	// be JSON Lines. The PATH @this means that the body is the list. ID and
	// Type are then looked up for each item, with item:PATH for what the item
	// holds and json:PATH for what surrounds the list. The payload of an
	// event is its item. An empty list, or an empty body, holds no event and
	// is acknowledged; an object in place of the list is one item.
	Each string `yaml:"each"`
	// EachWhen holds, by lookup, what marks a delivery with a list: a text,
	// "*" for anything, "" for what must not be there. Any other delivery is
	// one event. Lookups in ID that do not look into the item are used for
	// that one only.
	EachWhen map[string]string `yaml:"each_when"`
	// Split takes the items apart further, one path after the other. A|B
	// names lists in the item. The item then stands for several: each has one
	// element of one of the lists, and otherwise what surrounds it. Their
	// digest, item:sha256, is that of the element alone, so that it does not
	// matter how the provider groups them.
	Split []string `yaml:"split"`
	// UnsignedID says, for a scheme written in Go, that the id is not
	// covered by the signature. Of a declared scheme that is known.
	UnsignedID bool `yaml:"unsigned_id"`
}

// HandshakeSpec is a request that proves who owns the endpoint and carries no
// event.
type HandshakeSpec struct {
	// Method is the HTTP method. Default POST.
	Method string `yaml:"method"`
	// When holds, by lookup, what marks the handshake: a text, "*" for
	// anything, "" for what must not be there.
	When map[string]string `yaml:"when"`
	// Require holds, by lookup, what must be there besides for the
	// handshake to succeed: a text, or {option:NAME}, which is compared in
	// constant time. Of an option that is a list, any item may match, and
	// the item "*" matches anything.
	Require map[string]string `yaml:"require"`
	// Signed handshakes are answered only once their signature is verified.
	Signed bool `yaml:"signed"`
	// Secret is the lookup of a secret that the provider hands to us
	// in this handshake. It is kept in a file for the operator, who puts it
	// into the config; it is never used or logged by itself.
	Secret string `yaml:"secret"`
	// Answer is what the provider expects.
	Answer AnswerSpec `yaml:"answer"`
	// Refused is the answer where Require is not met. Default 403, empty.
	Refused *AnswerSpec `yaml:"refused"`
}

// AnswerSpec is an HTTP response. In a handshake its texts may hold {LOOKUP};
// {hmac-sha256-hex:LOOKUP} or {hmac-sha256-base64:LOOKUP}, a value's HMAC
// under the first secret; and {granted}, the list item that Require matched.
type AnswerSpec struct {
	// Status is the HTTP status. Default 200, of a refusal 401 or 403.
	Status int `yaml:"status"`
	// Header are the headers by name.
	Header map[string]string `yaml:"header"`
	// Body is the body. Default none.
	Body string `yaml:"body"`
}

// SuccessSpec is an answer to deliveries of one kind.
type SuccessSpec struct {
	// When holds, by lookup, what marks the deliveries that are answered so: a
	// text, "*" for anything, "" for what must not be there. Default all.
	When map[string]string `yaml:"when"`
	// Status is the HTTP status. Default 200.
	Status int `yaml:"status"`
	// Header are the headers by name.
	Header map[string]string `yaml:"header"`
	// Body is the body. Default none.
	Body string `yaml:"body"`
}

// SuccessSpecs is one SuccessSpec, or a list of them.
type SuccessSpecs []SuccessSpec

// UnmarshalYAML takes either form.
func (s *SuccessSpecs) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Load((*[]SuccessSpec)(s), yaml.WithKnownFields())
	}
	var one SuccessSpec
	if err := node.Load(&one, yaml.WithKnownFields()); err != nil {
		return err
	}
	*s = SuccessSpecs{one}
	return nil
}

// RetriesSpec is what the provider does about an answer it does not like.
type RetriesSpec struct {
	// For is how long after the first attempt it still redelivers by itself.
	// Left out where it never does.
	For Duration `yaml:"for"`
	// ByHand is how long after the first attempt a person can still have an
	// event delivered again, by a button or a call of the API.
	ByHand Duration `yaml:"by_hand"`
	// AcknowledgeWithin is how long it waits for an answer.
	AcknowledgeWithin Duration `yaml:"acknowledge_within"`
}

// OptionSpec is one thing that an operator tells under a source's `options:`.
// In the file it is a mapping, or just the text of Doc.
type OptionSpec struct {
	// Doc is one line that says what it is and where it is found.
	Doc string `yaml:"doc"`
	// Required options have to be given before a source starts.
	Required bool `yaml:"required"`
	// Default stands in for an option that is not given. "{secret}" is the
	// source's secrets, any of which may match.
	Default string `yaml:"default"`
	// List allows several values.
	List bool `yaml:"list"`
}

// UnmarshalYAML takes either form.
func (o *OptionSpec) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*o = OptionSpec{Doc: node.Value}
		return nil
	}
	type plain OptionSpec // without this method
	return node.Load((*plain)(o), yaml.WithKnownFields())
}

// ReconcileSpec is how the provider's API lists what has happened. Its texts
// may hold {url}, the address of the API; {option:NAME}; {from} and {to}, the
// times that are asked for; {count}, how many items were listed before;
// {json:PATH} and {header:NAME} of the page; {item}, an item of it as it
// stands; {item:PATH}, a text or number in it; {raw:PATH}, the JSON at a path
// of it, as it stands.
type ReconcileSpec struct {
	// Docs is the address of the provider's page about this API.
	Docs string `yaml:"docs"`
	// Unchecked says what of this could not be checked against the provider's
	// documentation.
	Unchecked OneOrMore `yaml:"unchecked"`
	// URL is the address of the API, without a slash at its end. A source may
	// give another one, such as that of a sandbox. Left out where each
	// customer has one, so that a source has to give it.
	URL string `yaml:"url"`
	// Key is one line that says what the key is and where it is found.
	Key string `yaml:"key"`
	// Keeps is how far back the list goes.
	Keeps Duration `yaml:"keeps"`
	// Settle is how old an event has to be before it counts as missing: until
	// then its delivery may still come. Default 10m.
	Settle Duration `yaml:"settle"`
	// Auth is how a request carries the key.
	Auth AuthSpec `yaml:"auth"`
	// Header are the headers of each request by name, besides the key's.
	Header map[string]string `yaml:"header"`
	// List is the request for a page, and how the page is read.
	List ListingSpec `yaml:"list"`
	// Detail is the address of one item, where the list does not have all of
	// it. What it answers stands in place of the item.
	Detail string `yaml:"detail"`
	// Delivery makes of an item what a delivery of it would have been.
	Delivery ListedSpec `yaml:"delivery"`
	// Redeliver has the provider deliver an item again. Without it the event
	// is started from what the list says.
	Redeliver *RedeliverSpec `yaml:"redeliver"`
}

// AuthSpec is how a request carries the key.
type AuthSpec struct {
	// As is one of
	//
	//	bearer  Authorization: Bearer KEY
	//	basic   as HTTP has it; the key is USER:PASSWORD, or USER alone
	//	header  the key in a header, after a prefix
	//	oauth2  a token for client credentials; the key is ID:SECRET
	//	apple   a JWT that the key, a private key in PEM, signs; the options
	//	        issuer_id, key_id and bundle_id say the rest
	As string `yaml:"as"`
	// Header is the name of the header, with As: header.
	Header string `yaml:"header"`
	// Prefix stands before the key, with As: header.
	Prefix string `yaml:"prefix"`
	// Token is where the token is asked for, with As: oauth2. It is on the
	// host of the API.
	Token string `yaml:"token"`
}

// ListingSpec is the request for a page, and how the page is read.
type ListingSpec struct {
	// Get is the address of the list.
	Get string `yaml:"get"`
	// Post is given in place of Get where the list is asked for by POST.
	Post string `yaml:"post"`
	// Query are the parameters of the address. One whose placeholders have no
	// value is left out; one whose value is an option that is a list is given
	// once for each.
	Query map[string]string `yaml:"query"`
	// Body is the JSON of a POST.
	Body string `yaml:"body"`
	// Times is how {from} and {to} are written: s, ms or iso8601. Default
	// iso8601.
	Times string `yaml:"times"`
	// Items is where the items stand: json:PATH. The PATH @this means that
	// the page is the list.
	Items string `yaml:"items"`
	// At is the lookup of an item's time. Items that are too young or too old
	// are left out. It may be missing where items are redelivered: each sweep
	// then reads all that the API keeps.
	At string `yaml:"at"`
	// AtUnit is how that time is written: s, ms or iso8601. Default Times.
	AtUnit string `yaml:"at_unit"`
	// NewestFirst says that no page after one with an item older than {from}
	// needs to be read. It is for lists that cannot be asked for a time.
	NewestFirst bool `yaml:"newest_first"`
	// When holds, by lookup, what marks the items that count: a text, "*" for
	// anything, "" for what must not be there. Default all.
	When map[string]string `yaml:"when"`
	// Next is how the next page is asked for. Left out where there is one
	// page.
	Next *NextSpec `yaml:"next"`
}

// NextSpec is how the next page is asked for, in one of four forms. {item:PATH}
// is of the last item of the page. Where the text has no value, the page was
// the last one.
type NextSpec struct {
	// Query are the parameters that change.
	Query map[string]string `yaml:"query"`
	// Body are the values that change in the JSON of a POST, by path.
	Body map[string]string `yaml:"body"`
	// URL is the lookup of the next page's address. It has to be on the host
	// of the API.
	URL string `yaml:"url"`
	// Link is the rel of the Link header that has the address.
	Link string `yaml:"link"`
	// While is a lookup that is empty, false or 0 on the last page.
	While string `yaml:"while"`
}

// ListedSpec makes of an item what a delivery of it would have been. Its id
// and type are then those of the event, as of any delivery.
type ListedSpec struct {
	// URL is the address that it was delivered to, where the scheme signs it.
	URL string `yaml:"url"`
	// Body is the delivery's body. Default {item}.
	Body string `yaml:"body"`
	// Header are the delivery's headers by name. One whose placeholders have
	// no value is left out.
	Header map[string]string `yaml:"header"`
	// Signed says that the delivery is signed as the first one was, so that it
	// is verified, at the item's time.
	Signed bool `yaml:"signed"`
}

// RedeliverSpec is the request that has the provider deliver an item again.
type RedeliverSpec struct {
	// Post is the address.
	Post string `yaml:"post"`
	// Body is the JSON that is sent. Default none.
	Body string `yaml:"body"`
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

// Tolerance is a Duration, or "none".
type Tolerance time.Duration

// noTolerance is what "none" is read as: no time is too far from the clock.
const noTolerance Tolerance = -1

// UnmarshalYAML takes a Go duration above zero, or none.
func (t *Tolerance) UnmarshalYAML(node *yaml.Node) error {
	if node.Value == "none" {
		*t = noTolerance
		return nil
	}
	return (*Duration)(t).UnmarshalYAML(node)
}
