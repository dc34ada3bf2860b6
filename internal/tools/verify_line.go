package tools

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
)

// deliveryLine is one delivery as `verify --json` reads it, and what its
// receiver holds. Other fields are passed over.
type deliveryLine struct {
	ID         json.RawMessage        `json:"id"`
	Provider   string                 `json:"provider"`
	Scheme     string                 `json:"scheme"` // wins over provider
	Method     string                 `json:"method"` // default POST
	URL        string                 `json:"url"`
	Headers    map[string]textOrTexts `json:"headers"`
	Body       string                 `json:"body"`
	BodyB64    []byte                 `json:"body_b64"` // wins over body
	Secret     string                 `json:"secret"`
	PublicKey  string                 `json:"public_key"` // in place of a secret
	CertPEM    string                 `json:"cert_pem"`   // what the certificate's URL returns
	Options    map[string]textOrTexts `json:"options"`
	NowUnix    *int64                 `json:"now_unix"`    // default now
	ToleranceS int64                  `json:"tolerance_s"` // default the provider's
}

// textOrTexts is a text, a number, a truth value or a list of such.
type textOrTexts []string

// UnmarshalJSON takes any of the forms, and null for none.
func (t *textOrTexts) UnmarshalJSON(data []byte) error {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // an id of many digits must not pass through a float
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	items, isList := value.([]any)
	if !isList && value != nil {
		items = []any{value}
	}
	for _, item := range items {
		switch item.(type) {
		case string, json.Number, bool:
			*t = append(*t, fmt.Sprint(item))
		default:
			return errors.New("a header or an option is neither a text nor a list of texts")
		}
	}
	return nil
}

// readDelivery reads a line. Of one that is wrong it returns the id, if that
// can be told.
func readDelivery(text []byte) (deliveryLine, error) {
	var l deliveryLine
	err := json.Unmarshal(text, &l)
	if l.ID == nil {
		l.ID = json.RawMessage("null")
	}
	switch {
	case err != nil:
		return l, err
	case !utf8.Valid(text):
		return l, errors.New("it is not UTF-8; give the body as body_b64")
	case l.ToleranceS < 0:
		return l, fmt.Errorf("tolerance_s is %d; want 0 or more", l.ToleranceS)
	}
	return l, nil
}

func (l deliveryLine) delivery(now time.Time) *provider.Delivery {
	d := &provider.Delivery{Method: cmp.Or(l.Method, http.MethodPost), URL: l.URL, Header: http.Header{}, Body: []byte(l.Body), ReceivedAt: now}
	for name, values := range l.Headers {
		for _, value := range values {
			d.Header.Add(name, value)
		}
	}
	if l.BodyB64 != nil {
		d.Body = l.BodyB64
	}
	if l.NowUnix != nil {
		d.ReceivedAt = time.Unix(*l.NowUnix, 0)
	}
	return d
}

// bind returns the receiver that the line asks for. Nothing is fetched.
func (j judge) bind(l deliveryLine) (*provider.Receiver, error) {
	name := cmp.Or(l.Scheme, l.Provider)
	if name == "" {
		if j.receiver == nil {
			return nil, errors.New("it names no provider; give it one, or give --provider or --source")
		}
		return j.receiver.Rebind(l.change)
	}
	p, known := j.catalog.Lookup(name)
	if !known {
		return nil, fmt.Errorf("unknown provider %q%s", name, config.Suggest(name, j.catalog.Names()))
	}
	return l.bindTo(p)
}

func (l deliveryLine) bindTo(p *provider.Provider) (*provider.Receiver, error) {
	b := provider.Binding{Fetch: heldCertificate(nil)}
	l.change(&b)
	if problems := p.CheckOptions(b.Options); len(problems) > 0 {
		return nil, problems[0]
	}
	if len(b.Secrets) == 0 && p.NeedsSecret() {
		return p.BindHandshakes(b), nil
	}
	return p.Bind(b)
}

// change puts what the line says in place of what was there.
func (l deliveryLine) change(b *provider.Binding) {
	if secret := cmp.Or(l.PublicKey, l.Secret); secret != "" {
		b.Secrets = []string{secret}
	}
	if l.CertPEM != "" {
		b.Fetch = heldCertificate(l.CertPEM)
	}
	if l.ToleranceS > 0 {
		b.Tolerance = time.Duration(min(l.ToleranceS, math.MaxInt64/int64(time.Second))) * time.Second
	}
	if len(l.Options) > 0 {
		b.Options = map[string]string{}
	}
	for name, values := range l.Options {
		if value := strings.Join(values, " "); value != "" {
			b.Options[name] = value
		}
	}
}
