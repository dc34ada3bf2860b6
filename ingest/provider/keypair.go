package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// SignsWithPair reports whether the provider signs with a private key, of
// which an operator is given the public half.
func (p *Provider) SignsWithPair() bool {
	_, ok := pairs()[p.spec.Signature.Algorithm]
	return ok
}

// GenerateKey returns a new key pair in the form of this provider's secrets:
// the public half is what a source takes, and a Receiver bound to the private
// one signs. The error says that the provider does not sign with a pair.
func (p *Provider) GenerateKey() (public, private string, err error) {
	generate, ok := pairs()[p.spec.Signature.Algorithm]
	if !ok {
		return "", "", fmt.Errorf("%s does not sign with a key pair: whoever has the source's secret can sign", p.Name())
	}
	publicKey, privateKey, err := generate()
	if err != nil {
		return "", "", err
	}
	// Of two prefixes the first is the public key's, as in whpk_ and whsk_.
	var first, last string
	if prefixes := p.spec.Secret.Prefix; len(prefixes) > 0 {
		first, last = prefixes[0], prefixes[len(prefixes)-1]
	}
	encode := encodings[p.spec.Secret.Encoding].encode
	return first + encode(publicKey), last + encode(privateKey), nil
}

// pairs makes a key pair, public half first, by the algorithm's name.
func pairs() map[string]func() (public, private []byte, err error) {
	return map[string]func() (public, private []byte, err error){
		"ed25519": func() (public, private []byte, err error) {
			return ed25519.GenerateKey(rand.Reader)
		},
		"ecdsa-p256": func() (public, private []byte, err error) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, nil, err
			}
			if public, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
				return nil, nil, err
			}
			private, err = x509.MarshalPKCS8PrivateKey(key)
			return public, private, err
		},
		"rsa-sha256": generateRSA,
	}
}
