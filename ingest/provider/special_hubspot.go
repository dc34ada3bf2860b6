package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

const (
	hubspotHeader    = "X-HubSpot-Signature-v3"
	hubspotTimestamp = "X-HubSpot-Request-Timestamp"
	hubspotTolerance = 5 * time.Minute
)

// hubspotV3 signs method, URL, body and time, with twelve of the URL's escapes
// decoded. HubSpot signs every attempt anew, so that an old time is a replay.
type hubspotV3 struct{}

// Bind implements Scheme.
func (hubspotV3) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return hubspotVerifier{sharedSecrets: secrets, time: bindTime(b, "ms", hubspotTolerance)}, err
}

type hubspotVerifier struct {
	sharedSecrets
	time signedTime
}

// Verify implements Verifier.
func (v hubspotVerifier) Verify(_ context.Context, d *Delivery) error {
	signature, err := oneBase64(d.Header, hubspotHeader)
	if err != nil {
		return err
	}
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	if err := v.check([][]byte{signature}, content); err != nil {
		return err
	}
	return v.time.check(d.Header.Get(hubspotTimestamp), d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v hubspotVerifier) SignedContent(d *Delivery) ([]byte, error) {
	timestamp, err := oneHeader(d.Header, hubspotTimestamp)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, len(d.Method)+len(d.URL)+len(d.Body)+len(timestamp))
	content = append(content, d.Method...)
	content = append(content, hubspotURL(d.URL)...)
	content = append(content, d.Body...)
	return append(content, timestamp...), nil
}

// Sign implements Signer.
func (v hubspotVerifier) Sign(d *Delivery) error {
	d.Header.Set(hubspotTimestamp, v.time.format(d.ReceivedAt))
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(hubspotHeader, base64.StdEncoding.EncodeToString(v.sign(content)))
	return nil
}

// hubspotURL decodes the escapes that HubSpot's documentation lists, once and
// no others.
func hubspotURL(u string) string {
	return strings.NewReplacer(
		"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$",
		"%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	).Replace(u)
}

var (
	_ Signer    = hubspotVerifier{}
	_ Explainer = hubspotVerifier{}
)
