package provider

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
)

// pkcs1Key verifies PKCS #1 v1.5 signatures of the content's SHA-256.
type pkcs1Key struct {
	public  *rsa.PublicKey
	private *rsa.PrivateKey // nil when the secret is a public key
}

// newRSAKey reads a public key, a certificate or, to sign with, a private key
// in PKCS #8; each in PEM, in DER, or in base64 of DER.
func newRSAKey(secret []byte) (key, error) {
	text := bytes.TrimSpace(secret)
	if block, _ := pem.Decode(text); block != nil {
		secret = block.Bytes
	} else if der, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
		secret = der
	}
	var found any
	if public, err := x509.ParsePKIXPublicKey(secret); err == nil {
		found = public
	} else if certificate, err := x509.ParseCertificate(secret); err == nil {
		found = certificate.PublicKey
	} else if private, err := x509.ParsePKCS8PrivateKey(secret); err == nil {
		found = private
	}
	switch k := found.(type) {
	case *rsa.PublicKey:
		return pkcs1Key{public: k}, nil
	case *rsa.PrivateKey:
		return pkcs1Key{public: &k.PublicKey, private: k}, nil
	case nil:
		return nil, errors.New("it is not an RSA key; want the provider's public key in PEM (BEGIN PUBLIC KEY), or its certificate")
	default:
		return nil, errors.New("it is a key, but not an RSA one")
	}
}

func (k pkcs1Key) sign(content pieces) ([]byte, error) {
	if k.private == nil {
		return nil, errCannotSign
	}
	return rsa.SignPKCS1v15(nil, k.private, crypto.SHA256, digestOf(content))
}

func (k pkcs1Key) matches(content pieces, signatures [][]byte) bool {
	digest := digestOf(content)
	for _, s := range signatures {
		if rsa.VerifyPKCS1v15(k.public, crypto.SHA256, digest, s) == nil {
			return true
		}
	}
	return false
}

// generateRSA makes a pair in base64 of DER: unlike PEM, each is one line.
func generateRSA() (public, private []byte, err error) {
	const bits = 2048
	pair, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(&pair.PublicKey); err != nil {
		return nil, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(pair); err != nil {
		return nil, nil, err
	}
	inText := base64.StdEncoding.AppendEncode
	return inText(nil, public), inText(nil, private), nil
}
