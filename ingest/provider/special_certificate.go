package provider

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"
)

// certificateStore is where a provider's certificates are fetched from. The
// delivery names the URL, so everything about it is checked: an attacker who
// may choose the host also chooses the key.
type certificateStore struct {
	host, path *regexp.Regexp
	keys       *keyring[*x509.Certificate]
}

func newCertificateStore(b Binding, host, path *regexp.Regexp) certificateStore {
	return certificateStore{host: host, path: path, keys: newKeyring(fetcherOf(b), parseCertificate)}
}

// verify checks an RSA signature under the certificate at the URL.
func (s certificateStore) verify(ctx context.Context, address string, hash crypto.Hash, content, signature []byte, d *Delivery) error {
	u, err := httpsURL(address, s.host)
	if err != nil {
		return fmt.Errorf("%w: certificate URL: %w", ErrMismatch, err)
	}
	if !s.path.MatchString(u.EscapedPath()) || u.RawQuery != "" {
		return fmt.Errorf("%w: certificate URL: the provider keeps no certificate at %q", ErrMismatch, clip(u.Path))
	}
	cert, err := s.keys.get(ctx, address, d)
	if err != nil {
		return err
	}
	if d.ReceivedAt.After(cert.NotAfter) {
		return fmt.Errorf("%w: the certificate expired on %s", ErrMismatch, cert.NotAfter.Format(time.DateOnly))
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the certificate holds no RSA key", ErrMismatch)
	}
	digest := hash.New()
	digest.Write(content)
	if err := rsa.VerifyPKCS1v15(public, hash, digest.Sum(nil), signature); err != nil {
		return fmt.Errorf("%w under the provider's certificate", ErrMismatch)
	}
	s.keys.confirm(address)
	return nil
}

// httpsURL takes a URL whose host, as a whole, is of the wanted form: https,
// no user, no port and no fragment.
func httpsURL(text string, host *regexp.Regexp) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it cannot be read")
	case u.Scheme != "https":
		return nil, errors.New("it is not https")
	case u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("it has more than a host and a path")
	case !host.MatchString(u.Host):
		return nil, fmt.Errorf("%q is not a host of the provider", clip(u.Host))
	}
	return u, nil
}

// parseCertificate takes the first certificate of a PEM document. That it came
// from the provider's own host is what it is trusted for.
func parseCertificate(document []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(document)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the document holds no PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return cert, nil
}
