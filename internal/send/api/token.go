package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// A token is "hyt_", the base64 of a claim, a dot, and the base64 of its HMAC
// under the first operator key. It is good for one tenant and for a day at most.
const (
	tokenPrefix   = "hyt_"
	longestToken  = 24 * time.Hour
	shortestToken = time.Minute
)

// claim is what a token says.
type claim struct {
	Tenant  string `json:"tenant"`
	Expires int64  `json:"exp"` // seconds since 1970
}

// caller is who sent a request.
type caller struct {
	tenant string // "" for the operator
}

func (c caller) operator() bool { return c.tenant == "" }

// mint makes a token of a tenant.
func mint(key, tenant string, expires time.Time) string {
	text, _ := json.Marshal(claim{Tenant: tenant, Expires: expires.Unix()}) // it always marshals
	encoded := base64.RawURLEncoding.EncodeToString(text)
	return tokenPrefix + encoded + "." + base64.RawURLEncoding.EncodeToString(mac(key, encoded))
}

func mac(key, text string) []byte {
	h := hmac.New(sha256.New, []byte("hookyard tenant token:"+key))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// identify returns who an Authorization header is of. Any of the keys may have
// made a token, so that a key can be rotated.
func identify(header string, keys []string, now time.Time) (caller, bool) {
	given, ok := strings.CutPrefix(header, "Bearer ")
	if !ok || given == "" {
		return caller{}, false
	}
	operator := 0
	for _, key := range keys {
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(key))
		operator |= subtle.ConstantTimeCompare(a[:], b[:])
	}
	if operator == 1 {
		return caller{}, true
	}
	text, signature, ok := strings.Cut(strings.TrimPrefix(given, tokenPrefix), ".")
	if !ok || !strings.HasPrefix(given, tokenPrefix) {
		return caller{}, false
	}
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return caller{}, false
	}
	genuine := false
	for _, key := range keys {
		genuine = hmac.Equal(sum, mac(key, text)) || genuine
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var c claim
	if !genuine || err != nil || json.Unmarshal(raw, &c) != nil || c.Tenant == "" || now.Unix() >= c.Expires {
		return caller{}, false
	}
	return caller{tenant: c.Tenant}, true
}
