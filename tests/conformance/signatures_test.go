package conformance

import (
	"encoding/base64"
	"strings"
	"time"
)

// forged delivers an event as strangers can, and then as its sender does: if
// anything was kept of the forgeries, the sender's own is no longer the first.
func forged(s *site) {
	const header, id = "Stripe-Signature", "evt_1"
	genuine := s.genuine(id)
	signature := genuine.header.Get(header)
	strangers := s.stripe(string(genuine.body), otherSecret, time.Now())
	for what, d := range map[string]delivery{
		"no signature":               genuine.with(header, ""),
		"a header without signature": genuine.with(header, strings.Split(signature, ",")[0]),
		"a header without time":      genuine.with(header, strings.Split(signature, ",")[1]),
		"not a signature":            genuine.with(header, "sha256=abc"),
		"a signature not in hex":     genuine.with(header, strings.Replace(signature, "v1=", "v1=zz", 1)),
		"a signature cut short":      genuine.with(header, signature[:len(signature)-2]),
		"a version nobody trusts":    genuine.with(header, strings.Replace(signature, "v1=", "v0=", 1)),
		"another time":               genuine.with(header, strings.Replace(signature, "t=1", "t=2", 1)),
		"another key":                strangers,
		"another body":               genuine.saying(strings.Replace(string(genuine.body), "49.00", "94.00", 1)),
		"the body written anew":      genuine.saying(strings.Replace(string(genuine.body), "49.00", "49", 1)),
		"an empty body":              genuine.saying(""),
		"another event's signature":  s.genuine("evt_2").saying(string(genuine.body)),
	} {
		s.refuses(401, d, what)
	}
	s.answers(accepted, genuine, "the sender's own delivery")

	body := order(message, time.Now())
	own := s.standard(body, secret, time.Now())
	for what, d := range map[string]delivery{
		"no signature":               own.with("Webhook-Signature", ""),
		"no id":                      own.with("Webhook-Id", ""),
		"another id, which is a new": own.with("Webhook-Id", "msg_2"),
		"no time":                    own.with("Webhook-Timestamp", ""),
		"another time":               own.with("Webhook-Timestamp", "1767225600"),
		"another key":                s.standard(body, otherSecret, time.Now()),
		"a signature of nothing":     own.with("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(make([]byte, 32))),
	} {
		s.refuses(401, d, what)
	}
	s.answers(accepted, own, "the sender's own delivery")
	s.eachOnce(id, message)
}

// stale replays deliveries that were genuine once. The tolerance of both
// providers is five minutes, either way.
func stale(s *site) {
	const id = "evt_1"
	now := time.Now()
	stripe := func(at time.Time) delivery { return s.stripe(order(id, now), secret, at) }
	standard := func(at time.Time) delivery { return s.standard(order(message, now), secret, at) }
	for what, off := range map[string]time.Duration{
		"signed a year ago": -365 * 24 * time.Hour, "signed 6 minutes ago": -6 * time.Minute, "signed 6 minutes from now": 6 * time.Minute,
	} {
		s.refuses(401, stripe(now.Add(off)), what)
		s.refuses(401, standard(now.Add(off)), what)
	}
	s.answers(accepted, stripe(now.Add(-4*time.Minute)), "a sender whose clock is 4 minutes late")
	s.answers(accepted, standard(now.Add(4*time.Minute)), "a sender whose clock is 4 minutes early")
	s.eachOnce(id, message)
}
