// Package endpoint holds who is sent to and what is sent: endpoints, their
// secrets and messages, in the store.
//
// What happens to a message on its way to an endpoint is not here: a delivery is
// a Workflow, and Temporal keeps it.
package endpoint

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/sign"
)

// State is where an endpoint is in its life.
type State string

// The states.
const (
	// Pending: the endpoint has not proven that it wants what is sent to its
	// URL, and gets nothing before it does.
	Pending State = "pending"
	// Active: it is sent to.
	Active State = "active"
	// Failing: its deliveries fail. New ones are held while one tries.
	Failing State = "failing"
	// Disabled: it is not sent to. What is published meanwhile is kept.
	Disabled State = "disabled"
)

// Proof is how an endpoint proves that it wants what is sent to its URL.
type Proof string

// The proofs.
const (
	// ProofEcho: a signed POST, whose challenge the answer has to repeat.
	ProofEcho Proof = "echo"
	// ProofOptions: the OPTIONS request of CloudEvents' HTTP webhooks, whose
	// answer has to allow our origin.
	ProofOptions Proof = "options"
)

// Settings are what the owner of an endpoint decides.
type Settings struct {
	URL string `json:"url"`
	// Events are patterns of event types, at least one; see event.Match. An
	// operational type, such as "endpoint.disabled", is taken by a pattern
	// that starts with "endpoint." alone.
	Events      []string `json:"events"`
	Description string   `json:"description,omitempty"`
	// Sign are the schemes that each delivery is signed by.
	Sign []sign.Scheme `json:"sign"`
	// PerSecond bounds the deliveries of one worker; 0 for no bound.
	PerSecond float64 `json:"per_second,omitempty"`
	// Ordered delivers one message after the other, in the order in which
	// they were published.
	Ordered bool `json:"ordered,omitempty"`
	// Contact is a mail address that hears of each change of state.
	Contact string `json:"contact,omitempty"`
	// Schedule are the waits between attempts; empty for the operator's.
	Schedule []time.Duration `json:"schedule,omitempty"`
	Proof    Proof           `json:"verify"`
	// Headers are sent along with each delivery. They may be credentials, so
	// they are sealed in the store.
	Headers map[string]string `json:"-"`
}

// Endpoint is one URL of one tenant.
type Endpoint struct {
	ID, Tenant string
	Settings
	State State
	// Why is the reason for the state, in a sentence.
	Why string
	// Told is the state that people were told of last; Active for one that
	// nobody was told of.
	Told State
	// VerifiedAt is when it last proved that it wants what is sent; zero for
	// never.
	VerifiedAt time.Time
	// FailingSince is the first of the failures in a row; zero for none.
	FailingSince time.Time
	// Failures is how many attempts in a row have failed.
	Failures             int
	CreatedAt, UpdatedAt time.Time
}

// Takes reports whether messages of the type go to the endpoint.
func (e *Endpoint) Takes(eventType string) bool {
	for _, pattern := range e.Events {
		if strings.HasPrefix(eventType, OperationalPrefix) && !strings.HasPrefix(pattern, OperationalPrefix) {
			continue
		}
		if event.Match(pattern, eventType) {
			return true
		}
	}
	return false
}

// Receives reports whether deliveries to the endpoint are started: it is active
// or failing, or it was active and has to prove itself again.
func (e *Endpoint) Receives() bool {
	return e.State == Active || e.State == Failing || e.State == Pending && !e.VerifiedAt.IsZero()
}

// OperationalPrefix starts the types of the events that Hookyard itself
// publishes about endpoints.
const OperationalPrefix = "endpoint."

// Message is what is published, once for all endpoints.
type Message struct {
	Tenant, ID, Type string
	ContentType      string
	Body             []byte
	CreatedAt        time.Time
}

// Hash identifies what a message says. Two messages with one id and two hashes
// are a mistake of the publisher.
func (m Message) Hash() string {
	h := sha256.New()
	for _, part := range []string{m.Type, m.ContentType} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(m.Body)
	return hex.EncodeToString(h.Sum(nil))
}

// Mistake returns the field that keeps a message from being published, and what
// it has to be; "" for none.
func (m Message) Mistake() (field, want string) {
	switch {
	case !IsTenant(m.Tenant):
		return "tenant", "want " + WantTenant
	case !IsMessageID(m.ID):
		return "id", "want " + WantID
	case !IsType(m.Type):
		return "type", "want " + WantType
	case strings.HasPrefix(m.Type, OperationalPrefix):
		return "type", "types that start with endpoint. are published by Hookyard itself"
	case m.ContentType == "" || !httpguts.ValidHeaderFieldValue(m.ContentType):
		return "content_type", "want the Content-Type of the body"
	case len(m.Body) > MaxBody:
		return "body", fmt.Sprintf("it is larger than %d bytes", MaxBody)
	default:
		return "", ""
	}
}

// MaxBody is the largest body of a message, in bytes.
const MaxBody = 1 << 20

// NewID returns an id that nobody can guess: the prefix and 26 letters and
// digits.
func NewID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// The prefixes of ids.
const (
	IDPrefix        = "ep_"
	MessageIDPrefix = "msg_"
)

var (
	tenantForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	messageForm = regexp.MustCompile(`^[A-Za-z0-9_:@-]{1,128}$`)
	typeForm    = regexp.MustCompile(`^[A-Za-z0-9_./:-]{1,128}$`)
	patternForm = regexp.MustCompile(`^[A-Za-z0-9_./:*-]{1,128}$`)
)

// What a mistaken value should have been.
const (
	WantTenant  = "1 to 64 of A-Z, a-z, 0-9, dash and underscore"
	WantID      = "1 to 128 of A-Z, a-z, 0-9, dash, underscore, colon and @"
	WantType    = "1 to 128 of A-Z, a-z, 0-9, dot, dash, underscore, colon and slash"
	WantPattern = WantType + `, and "*" for any characters`
)

// IsTenant reports whether a text can name a tenant.
func IsTenant(s string) bool { return tenantForm.MatchString(s) }

// IsMessageID reports whether a text can be the id of a message. It holds no
// dot, which separates what is signed.
func IsMessageID(s string) bool { return messageForm.MatchString(s) }

// IsType reports whether a text can be an event type.
func IsType(s string) bool { return typeForm.MatchString(s) }

// IsPattern reports whether a text can be a pattern of event types.
func IsPattern(s string) bool { return patternForm.MatchString(s) }
