package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// certify returns the PEM of a certificate that says nothing but its key.
func certify(t testing.TB, key crypto.Signer, notAfter time.Time) document {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return document(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

func rsaSign(t testing.TB, key *rsa.PrivateKey, hash crypto.Hash, content []byte) string {
	digest := hash.New()
	digest.Write(content)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest.Sum(nil))
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(signature)
}

// message is a signed SNS message.
func message(t testing.TB, key *rsa.PrivateKey, change map[string]string) map[string]string {
	m := map[string]string{
		"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:1:orders", "Message": `{"order":1}`,
		"Timestamp": "2026-11-22T12:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
	}
	maps.Copy(m, change)
	content, err := snsMessage(m).content()
	if err == nil && m["Signature"] == "" {
		m["Signature"] = rsaSign(t, key, map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}[m["SignatureVersion"]], content)
	}
	return m
}

func delivery(t testing.TB, m map[string]string) *Delivery {
	body, err := json.Marshal(m)
	require.NoError(t, err)
	return &Delivery{Method: http.MethodPost, Header: http.Header{"Content-Type": {"text/plain"}}, Body: body, ReceivedAt: specialNow}
}

func TestSNS(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	v := bindSpecial(t, "aws-sns", Binding{Fetch: certify(t, key, specialNow.Add(time.Hour))})
	require.NoError(t, v.Verify(t.Context(), delivery(t, message(t, key, nil))))
	require.NoError(t, v.Verify(t.Context(), delivery(t, message(t, key, map[string]string{"SignatureVersion": "1"}))))
	for _, tt := range []struct {
		name, field, value string
		want               error
	}{
		{"another message", "Message", "x", ErrMismatch},
		{"a subject added", "Subject", "x", ErrMismatch},
		{"another version", "SignatureVersion", "1", ErrMismatch},
		{"an unknown version", "SignatureVersion", "3", ErrMalformed},
		{"no signature", "Signature", "", ErrUnsigned},
		{"a signature that is none", "Signature", "bad!", ErrMalformed},
		{"a short signature", "Signature", "AAAA", ErrMismatch},
		{"another type", "Type", "SubscriptionConfirmation", ErrUnsigned},
		{"an unknown type", "Type", "Other", ErrMalformed},
		{"no certificate", "SigningCertURL", "", ErrMismatch},
	} {
		m := message(t, key, nil)
		m[tt.field] = tt.value
		require.ErrorIs(t, v.Verify(t.Context(), delivery(t, m)), tt.want, tt.name)
	}
	for at, want := range map[string]error{
		"2026-11-22T11:00:00.000Z": nil,
		"2026-11-22T10:54:59.000Z": ErrStale,
		"2026-11-22T13:05:01.000Z": ErrStale,
		"yesterday":                ErrMalformed,
	} {
		require.ErrorIs(t, v.Verify(t.Context(), delivery(t, message(t, key, map[string]string{"Timestamp": at}))), want, at)
	}
	for _, body := range []string{"", "[]", "{", `"x"`, `{"Type":1}`, `{"Message":"a","message":"b"}`} {
		d := delivery(t, nil)
		d.Body = []byte(body)
		require.NotEmpty(t, Reason(v.Verify(t.Context(), d)), body)
	}
}

// TestSNSReadsOneMessage adds a second name that a decoder might take.
func TestSNSReadsOneMessage(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	v := bindSpecial(t, "aws-sns", Binding{Fetch: certify(t, key, specialNow.Add(time.Hour))})
	for _, name := range []string{"Message", "message", "\\u004dessage", "Me\u017f\u017fage"} {
		d := delivery(t, message(t, key, nil))
		d.Body = []byte(strings.TrimSuffix(string(d.Body), "}") + `,"` + name + `":"forged"}`)
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMalformed, name)
	}
}

func TestSNSTopics(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	b := Binding{Fetch: certify(t, key, specialNow.Add(time.Hour)), Options: map[string]string{"topics": "arn:other arn:aws:sns:eu-west-1:1:orders"}}
	require.NoError(t, bindSpecial(t, "aws-sns", b).Verify(t.Context(), delivery(t, message(t, key, nil))))
	b.Options["topics"] = "arn:aws:sns:eu-west-1:1:order"
	b.Fetch = fetcherFunc(func(string) ([]byte, error) {
		require.Fail(t, "a certificate was fetched for somebody else's topic")
		return nil, nil
	})
	require.ErrorIs(t, bindSpecial(t, "aws-sns", b).Verify(t.Context(), delivery(t, message(t, key, nil))), ErrMismatch)
}

func TestSNSConfirms(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	asked := &counter{}
	v := snsVerifier{confirm: asked, certificates: newCertificateStore(Binding{Fetch: certify(t, key, specialNow.Add(time.Hour))}, snsHost(), nil)}
	confirmation := map[string]string{
		"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
	}
	d := delivery(t, message(t, key, confirmation))
	answer, err := v.Greet(t.Context(), d, false)
	require.NoError(t, err)
	require.Nil(t, answer, "nothing is confirmed before it is verified")
	require.Zero(t, asked.fetched.Load())

	answer, err = v.Greet(t.Context(), d, true)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	require.EqualValues(t, 1, asked.fetched.Load())

	asked.fail.Store(true)
	_, err = v.Greet(t.Context(), d, true)
	require.ErrorContains(t, err, "could not be confirmed")
	require.Empty(t, Reason(err), "the sender has to send it again")

	for _, elsewhere := range []string{"http://sns.eu-west-1.amazonaws.com/", "https://evil.example/", "https://169.254.169.254/"} {
		confirmation["SubscribeURL"] = elsewhere
		_, err = v.Greet(t.Context(), delivery(t, message(t, key, confirmation)), true)
		require.ErrorIs(t, err, ErrMismatch, elsewhere)
	}
	require.EqualValues(t, 2, asked.fetched.Load())

	for _, other := range []string{"Notification", "UnsubscribeConfirmation"} {
		answer, err = v.Greet(t.Context(), delivery(t, map[string]string{"Type": other}), true)
		require.NoError(t, err)
		require.Nil(t, answer, other)
	}
}

// TestCertificateURLs asks for no certificate where an attacker keeps one.
func TestCertificateURLs(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	for _, tt := range []struct {
		provider, url string
		good          bool
	}{
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem", true},
		{"aws-sns", "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0123abcd.pem", true},
		{"aws-sns", "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem", true},
		{"aws-sns", "https://sns.ap-southeast-2.amazonaws.com/cert.pem", true},
		{"aws-sns", "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0123abcd.pem", false},
		{"aws-sns", "https://sns.execute-api.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us-west-2-s3.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com.cn/cert.pem", false},
		{"aws-sns", "https://sns.cn-north-1.amazonaws.com/cert.pem", true}, // nobody's; no harm
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/invented.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-x.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/a/SimpleNotificationService-0123abcd.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com.evil.example/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com.cn.evil.example/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com@evil.example/cert.pem", false},
		{"aws-sns", "https://user:pass@sns.us-east-1.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com:8443/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com:443/cert.pem", false},
		{"aws-sns", "http://sns.us-east-1.amazonaws.com/cert.pem", false},
		{"aws-sns", "HTTPS://sns.us-east-1.amazonaws.com/../cert.pem", false},
		{"aws-sns", "https://evil.example/https://sns.us-east-1.amazonaws.com/a.pem", false},
		{"aws-sns", "https://evil.example#sns.us-east-1.amazonaws.com/a.pem", false},
		{"aws-sns", "https://evil.example\\.sns.us-east-1.amazonaws.com/a.pem", false},
		{"aws-sns", "https://s3.us-east-1.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us.east.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com./cert.pem", false},
		{"aws-sns", "https://xsns.us-east-1.amazonaws.com/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/a.txt", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/?Action=Publish&x=/a.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/cert.pem?x=1", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/cert.pem#x", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com/%2e%2e/cert.pem", false},
		{"aws-sns", "https://sns.us-east-1.amazonaws.com\n.evil.example/cert.pem", false},
		{"paypal", "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77", true},
		{"paypal", "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1", true},
		{"paypal", "https://api-m.paypal.com/v1/notifications/certs/CERT-1", true},
		{"paypal", "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1", false},
		{"paypal", "https://apixpaypal.com/v1/notifications/certs/CERT-1", false},
		{"paypal", "https://evil.paypal.com/v1/notifications/certs/CERT-1", false},
		{"paypal", "https://www.paypal.com/v1/notifications/certs/CERT-1", false},
		{"paypal", "https://api.paypal.com/v1/notifications/certs/../../oauth2/token", false},
		{"paypal", "https://api.paypal.com/v1/notifications/certs/CERT-1/", false},
		{"paypal", "https://api.paypal.com:444/v1/notifications/certs/CERT-1", false},
		{"paypal", "http://api.paypal.com/v1/notifications/certs/CERT-1", false},
		{"paypal", "//api.paypal.com/v1/notifications/certs/CERT-1", false},
		{"paypal", "file:///etc/passwd", false},
	} {
		asked := &recorder{answer: certify(t, key, specialNow.Add(time.Hour))}
		v := bindSpecial(t, tt.provider, Binding{Fetch: asked, Options: map[string]string{"webhook_id": "W1"}})
		d := payPalDelivery(t, key, v)
		d.Header.Set(paypalCert, tt.url)
		if tt.provider == "aws-sns" {
			d = delivery(t, message(t, key, map[string]string{"SigningCertURL": tt.url}))
		}
		err := v.Verify(t.Context(), d)
		if tt.good {
			require.NoError(t, err, tt.url)
			require.Empty(t, cmp.Diff([]string{tt.url}, asked.urls))
			continue
		}
		require.ErrorIs(t, err, ErrMismatch, tt.url)
		require.ErrorContains(t, err, "certificate URL", tt.url)
		require.Empty(t, asked.urls, "asked for %s", tt.url)
	}
}

// recorder notes the URLs that it is asked for.
type recorder struct {
	answer document
	urls   []string
}

func (r *recorder) Fetch(ctx context.Context, url string) ([]byte, error) {
	r.urls = append(r.urls, url)
	return r.answer.Fetch(ctx, url)
}

func payPalDelivery(t testing.TB, key *rsa.PrivateKey, v Verifier) *Delivery {
	d := &Delivery{Method: http.MethodPost, Body: []byte(`{"id":"WH-1"}`), ReceivedAt: specialNow, Header: http.Header{}}
	for name, value := range map[string]string{
		paypalID: "t-1", paypalTime: "2026-11-22T12:00:00Z", paypalAlgorithm: "SHA256withRSA",
		paypalCert: "https://api.paypal.com/v1/notifications/certs/CERT-1",
	} {
		d.Header.Set(name, value)
	}
	if e, ok := v.(paypalVerifier); ok {
		content, err := e.SignedContent(d)
		require.NoError(t, err)
		d.Header.Set(paypalSignature, rsaSign(t, key, crypto.SHA256, content))
	}
	return d
}

func TestPayPal(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	b := Binding{Fetch: certify(t, key, specialNow.Add(time.Hour)), Options: map[string]string{"webhook_id": "W1"}}
	v := bindSpecial(t, "paypal", b)
	require.NoError(t, v.Verify(t.Context(), payPalDelivery(t, key, v)))
	for _, name := range []string{paypalID, paypalTime, paypalSignature, paypalCert, paypalAlgorithm} {
		d := payPalDelivery(t, key, v)
		d.Header.Add(name, d.Header.Get(name))
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMalformed, "%s twice", name)
		d.Header.Set(name, "")
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrUnsigned, "%s empty", name)
		d.Header.Del(name)
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrUnsigned, "no %s", name)
	}
	d := payPalDelivery(t, key, v)
	for i := range d.Body {
		d.Body[i] ^= 1
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMismatch)
		d.Body[i] ^= 1
	}
	b.Options = map[string]string{"webhook_id": "W2"}
	require.ErrorIs(t, bindSpecial(t, "paypal", b).Verify(t.Context(), d), ErrMismatch, "another webhook")

	b.Options, b.Tolerance = map[string]string{"webhook_id": "W1"}, time.Hour
	old := payPalDelivery(t, key, v)
	old.ReceivedAt = specialNow.Add(59 * time.Minute)
	require.NoError(t, bindSpecial(t, "paypal", b).Verify(t.Context(), old))
	b.Tolerance = time.Minute
	require.ErrorIs(t, bindSpecial(t, "paypal", b).Verify(t.Context(), old), ErrStale)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	key, stranger := rsaKey(t), rsaKey(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for _, tt := range []struct {
		name     string
		document document
		want     error  // nil for one that says nothing about the delivery
		text     string // "" for none at all
	}{
		{"good", certify(t, key, specialNow.Add(time.Hour)), nil, ""},
		{"expired", certify(t, key, specialNow.Add(-time.Second)), ErrMismatch, "expired on 2026-11-22"},
		{"another's", certify(t, stranger, specialNow.Add(time.Hour)), ErrMismatch, "under the provider's certificate"},
		{"of another kind", certify(t, curve, specialNow.Add(time.Hour)), ErrMismatch, "no RSA key"},
		{"no PEM", "<html>", nil, "no PEM certificate"},
		{"a key", document(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), nil, "no PEM certificate"},
		{"broken", document(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), nil, "cannot be read"},
		{"unreachable", "", nil, "nothing to fetch"},
	} {
		v := bindSpecial(t, "aws-sns", Binding{Fetch: tt.document})
		err := v.Verify(t.Context(), delivery(t, message(t, key, nil)))
		if tt.text == "" {
			require.NoError(t, err, tt.name)
			continue
		}
		require.ErrorContains(t, err, tt.text, tt.name)
		require.Equal(t, tt.want != nil, Reason(err) != "", tt.name)
		if tt.want != nil {
			require.ErrorIs(t, err, tt.want, tt.name)
		}
	}
}
