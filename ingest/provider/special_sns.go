package provider

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// snsTopics is the option that names the topics whose messages are
	// taken, separated by blanks.
	snsTopics = "topics"
	// snsTolerance is the hour for which SNS sends a message again under its
	// first time, and what clocks may differ by.
	snsTolerance = 65 * time.Minute

	snsConfirmation = "SubscriptionConfirmation"
)

// awsSNS signs the values of a message with a certificate that Amazon
// publishes. Amazon signs for whoever owns a topic: without the option topics,
// anyone with an account there can send messages of their own.
type awsSNS struct{}

// Bind implements Scheme. There is no secret.
func (awsSNS) Bind(b Binding) (Verifier, error) {
	return snsVerifier{
		topics:       strings.Fields(b.Options[snsTopics]),
		time:         bindTime(b, "iso8601", snsTolerance),
		certificates: newCertificateStore(b, snsHost(), snsCertificate()),
		confirm:      fetcherOf(b),
	}, nil
}

// snsHost matches the hosts of SNS: one in each region of AWS, those of China
// under a domain of their own. Other services of AWS have names of the kind, too
// (sns.s3-us-west-2.amazonaws.com is anyone's bucket).
func snsHost() *regexp.Regexp {
	return regexp.MustCompile(`^sns\.([a-z]{2}(-gov)?-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[0-9]{1,2}\.amazonaws\.com` +
		`|cn-[a-z]+-[0-9]{1,2}\.amazonaws\.com\.cn)$`)
}

// snsCertificate matches the paths of Amazon's certificates, as its
// documentation has them. The short name is that of its libraries' tests.
func snsCertificate() *regexp.Regexp {
	return regexp.MustCompile(`^/(SimpleNotificationService-[0-9a-f]{8,64}|cert)\.pem$`)
}

type snsVerifier struct {
	topics       []string // none for all
	time         timestamp
	certificates certificateStore
	confirm      Fetcher
}

// snsMessage is the values of a message that are texts.
type snsMessage map[string]string

// Verify implements Verifier.
func (v snsVerifier) Verify(ctx context.Context, d *Delivery) error {
	message, err := readSNS(d.Body)
	if err != nil {
		return err
	}
	if message["Signature"] == "" {
		return fmt.Errorf("%w: the body has no Signature", ErrUnsigned)
	}
	signature, err := decodeBase64("Signature", message["Signature"])
	if err != nil {
		return err
	}
	hash, known := map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}[message["SignatureVersion"]]
	if !known {
		return fmt.Errorf("%w: unknown SignatureVersion %q; known: 1, 2", ErrMalformed, clip(message["SignatureVersion"]))
	}
	content, err := message.content()
	if err != nil {
		return err
	}
	// A topic of somebody else's is refused before anything is fetched for it.
	if len(v.topics) > 0 && !slices.Contains(v.topics, message["TopicArn"]) {
		return fmt.Errorf("%w: topic %q is none of the source's topics", ErrMismatch, clip(message["TopicArn"]))
	}
	// The second spelling is that of messages which an AWS Lambda passes on.
	address := message["SigningCertURL"]
	if address == "" {
		address = message["SigningCertUrl"]
	}
	if err := v.certificates.verify(ctx, address, hash, content, signature, d); err != nil {
		return err
	}
	return v.time.check(message["Timestamp"], d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v snsVerifier) SignedContent(d *Delivery) ([]byte, error) {
	message, err := readSNS(d.Body)
	if err != nil {
		return nil, err
	}
	return message.content()
}

// Greet implements Greeter: a subscription is confirmed by asking for the URL
// that came with it. Until that has worked the answer is an error, so that SNS
// sends the confirmation again.
func (v snsVerifier) Greet(ctx context.Context, d *Delivery, verified bool) (*Answer, error) {
	if !verified {
		return nil, nil
	}
	message, err := readSNS(d.Body)
	if err != nil || message["Type"] != snsConfirmation {
		return nil, nil //nolint:nilerr // it is verified, so this is no error but another type
	}
	address := message["SubscribeURL"]
	if _, err := httpsURL(address, snsHost()); err != nil {
		return nil, fmt.Errorf("%w: SubscribeURL: %w", ErrMismatch, err)
	}
	if _, err := v.confirm.Fetch(ctx, address); err != nil {
		return nil, fmt.Errorf("the subscription to %q could not be confirmed: %w", clip(message["TopicArn"]), err)
	}
	return &Answer{Status: http.StatusOK, Header: http.Header{}}, nil
}

func readSNS(data []byte) (snsMessage, error) {
	body, err := membersOf("the body", data)
	if err != nil {
		return nil, err
	}
	message := snsMessage{}
	for name, value := range body {
		if text, ok := value.text(); ok {
			message[name] = text
		}
	}
	return message, nil
}

// content is a line for each name and each value, in the order of the names.
func (m snsMessage) content() ([]byte, error) {
	var names []string
	switch m["Type"] {
	case "Notification":
		names = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	case snsConfirmation, "UnsubscribeConfirmation":
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	default:
		return nil, fmt.Errorf("%w: unknown Type %q", ErrMalformed, clip(m["Type"]))
	}
	var b strings.Builder
	for _, name := range names {
		value, there := m[name]
		if !there && name == "Subject" {
			continue
		}
		if !there {
			return nil, fmt.Errorf("%w: %s, which is signed, is missing", ErrUnsigned, name)
		}
		b.WriteString(name + "\n" + value + "\n")
	}
	return []byte(b.String()), nil
}

var (
	_ Explainer = snsVerifier{}
	_ Greeter   = snsVerifier{}
)
