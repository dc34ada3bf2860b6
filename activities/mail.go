package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Mail sends mail to customers, either to an SMTP server or into a folder.
// OpenSMTP and OpenMailFolder make one; the zero Mail is not configured.
type Mail struct {
	from *mail.Address
	via  mailer
}

// mailer hands one message over. The key is that of the step; errors are those
// of an Activity.
type mailer interface {
	deliver(ctx context.Context, key string, message *gomail.Msg) error
}

// Receipt says what was paid, and who is to be told. Histories hold it: its
// JSON names may be added to and not changed.
type Receipt struct {
	// Key is Event.Key("SendReceipt").
	Key string `json:"key"`
	// To is the one address that the receipt goes to.
	To string `json:"to"`
	// Customer is the name to greet; empty where it is not known.
	Customer string `json:"customer,omitempty"`
	// Invoice is what the customer knows the invoice by.
	Invoice string `json:"invoice"`
	// Amount counts the minor unit that ISO 4217 gives the currency: cents,
	// but whole yen. Where a provider counts otherwise (Stripe counts
	// hundredths of ISK and UGX, and whole MGA) the Workflow converts.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code in either case.
	Currency string `json:"currency"`
	// PaidAt is when it was paid; the receipt names no day where it is zero.
	PaidAt time.Time `json:"paid_at,omitzero"`
}

// SendReceipt mails the receipt.
//
// It is idempotent under Receipt.Key in a folder, where a mail that is there
// is left alone. An SMTP server may take a mail whose acknowledgement is then
// lost; the next attempt sends it again, with the same Message-ID, by which
// servers and mail readers can tell that it is the same.
//
// Permanent are NotConfigured, MissingKey, BadAddress, and Refused (the mail
// server answered 5xx). Everything else is Unavailable.
func (m *Mail) SendReceipt(ctx context.Context, r Receipt) error {
	if m == nil || m.via == nil {
		return permanent(NotConfigured, "no mail is configured: set mail.smtp or mail.folder")
	}
	if r.Key == "" {
		return permanent(MissingKey, "the receipt for invoice %q has no key: set Receipt.Key to Event.Key(\"SendReceipt\")", r.Invoice)
	}
	to, err := address(r.To)
	if err != nil {
		return permanent(BadAddress, "the receipt for invoice %q cannot be sent: %v", r.Invoice, err)
	}
	to.Name = oneLine(r.Customer)

	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(m.from)
	message.ToMailAddress(to)
	message.Subject("Receipt for invoice " + oneLine(r.Invoice))
	message.SetDate()
	message.SetMessageIDWithValue(messageID(r.Key, m.from.Address))
	// Keeps out-of-office replies away (RFC 3834).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(gomail.TypeTextPlain, receiptText(r))
	return m.via.deliver(ctx, r.Key, message)
}

func receiptText(r Receipt) string {
	greeting, day := "Hello,", ""
	if name := oneLine(r.Customer); name != "" {
		greeting = "Hello " + name + ","
	}
	if !r.PaidAt.IsZero() {
		day = " on " + r.PaidAt.UTC().Format("2 January 2006")
	}
	return fmt.Sprintf("%s\n\nwe received your payment of %s for invoice %s%s.\n\nThank you.\n",
		greeting, money(r.Amount, oneLine(r.Currency)), oneLine(r.Invoice), day)
}

// address parses the one address to send to or from. It refuses control
// characters whatever the parser thinks of them, so that no address can add a
// header or an SMTP command.
func address(text string) (*mail.Address, error) {
	if text == "" {
		return nil, fmt.Errorf("there is no address")
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, fmt.Errorf("%.100q is not an e-mail address", text)
	}
	return parsed, nil
}

// oneLine makes text from an event fit for a header or a line of the body.
func oneLine(text string) string { return printable(text, 200) }

// messageID is the same for every attempt of a step, and says nothing of the
// key, which names our source and the provider's event.
func messageID(key, from string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16]) + from[strings.LastIndexByte(from, '@'):]
}
