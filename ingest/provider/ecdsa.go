package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
)

// ecdsaKey verifies ASN.1 DER signatures of the content's SHA-256 on P-256.
type ecdsaKey struct {
	public  *ecdsa.PublicKey
	private *ecdsa.PrivateKey // nil when the secret is a public key
}

// newECDSAKey reads a public key as a DER SubjectPublicKeyInfo, as providers
// show it, or a private one in PKCS #8, to sign with.
func newECDSAKey(secret []byte) (key, error) {
	if parsed, err := x509.ParsePKIXPublicKey(secret); err == nil {
		if public, ok := parsed.(*ecdsa.PublicKey); ok && public.Curve == elliptic.P256() {
			return ecdsaKey{public: public}, nil
		}
		return nil, errors.New("it is a public key, but not an ECDSA one on the curve P-256")
	}
	if parsed, err := x509.ParsePKCS8PrivateKey(secret); err == nil {
		if private, ok := parsed.(*ecdsa.PrivateKey); ok && private.Curve == elliptic.P256() {
			return ecdsaKey{public: &private.PublicKey, private: private}, nil
		}
		return nil, errors.New("it is a private key, but not an ECDSA one on the curve P-256")
	}
	return nil, errors.New("it is not an ECDSA key; want a DER SubjectPublicKeyInfo (it starts with MFkw in base64)")
}

func (k ecdsaKey) sign(content pieces) ([]byte, error) {
	if k.private == nil {
		return nil, errCannotSign
	}
	return ecdsa.SignASN1(rand.Reader, k.private, digestOf(content))
}

func (k ecdsaKey) matches(content pieces, signatures [][]byte) bool {
	digest := digestOf(content)
	for _, s := range signatures {
		if ecdsa.VerifyASN1(k.public, digest, s) {
			return true
		}
	}
	return false
}

func digestOf(content pieces) []byte {
	digest := sha256.New()
	content.writeTo(digest)
	return digest.Sum(nil)
}
