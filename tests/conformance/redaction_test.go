package conformance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hookyard/hookyard/tests/harness"
)

// redaction delivers what must not be seen by who reads logs, answers or the
// Web UI: secrets and signatures nowhere, what is in a payload nowhere but in
// the payload that Temporal keeps. At the level of these logs payloads are
// shown, but for what the config masks.
func redaction(s *site) {
	const private = "private-to-the-customer"
	mark := func(body string) string {
		return strings.Replace(body, `"object":"event"`, `"object":"event","note":"`+private+`"`, 1)
	}
	now := time.Now()
	forwarded := s.stripe(mark(order("evt_forwarded", now)), secret, now)
	handled := s.stripe(mark(invoice("evt_handled")), secret, now)
	misfit := s.stripe(strings.Replace(mark(invoice("evt_misfit")), "4900", `"`+private+`"`, 1), secret, now)
	deliveries := []delivery{
		forwarded, forwarded, handled, misfit,
		s.standard(mark(order(message, now)), secret, now),
		s.stripe(mark(order("evt_stranger", now)), otherSecret, now),
		s.stripe(mark(order("evt_old", now)), secret, now.Add(-time.Hour)),
		s.stripe(`{"note":"`+private+`"}`, secret, now),
		s.stripe(private, secret, now),
		forwarded.with("Stripe-Signature", "no signature"),
		forwarded.with("Stripe-Signature", ""),
	}

	hidden := []string{secret, otherSecret, strings.TrimPrefix(secret, "whsec_"), key(s, secret)}
	seen := map[string]string{}
	for _, d := range deliveries {
		hidden = append(hidden, signatures(d.header)...)
		d.header = d.header.Clone()
		d.header.Set("Authorization", "Bearer "+private)
		a := s.deliver(d)
		seen["an answer"] += a.said + fmt.Sprint(a.header)
	}
	const parked = "evt_misfit"
	harness.Eventually(s.v, "all are worked on", func() bool {
		done := s.became(nil)
		return done["evt_forwarded"].Completed == 1 && done["evt_handled"].Completed == 1 && done[message].Completed == 1 && done[parked].Runs == 1
	})

	runs, err := s.temporal.runsOf(s.ctx, s.name, s.acme())
	require.NoError(s.v, err)
	for _, run := range runs {
		history, err := s.temporal.history(s.ctx, run.execution)
		require.NoError(s.v, err)
		whole, err := proto.Marshal(history)
		require.NoError(s.v, err)
		requireNone(s, "a history", string(whole), hidden...)
		// In this form payloads are base64, and all else stands as it is.
		text, err := protojson.Marshal(history)
		require.NoError(s.v, err)
		seen["a history, payloads aside"] += string(text)
		for _, e := range history.GetEvents() {
			shown := e.GetUserMetadata() // in the Web UI, beside the event
			seen["what is shown of a step"] += string(shown.GetSummary().GetData()) + string(shown.GetDetails().GetData())
		}
	}
	seen["the log"] = s.logs()
	require.Contains(s.v, seen["the log"], "evt_forwarded", "the log says what was delivered")
	for where, text := range seen {
		requireNone(s, where, text, append(hidden, private)...)
	}
}

// requireNone requires that none of the texts is there, and shows only a piece
// of what is.
func requireNone(s *site, where, text string, hidden ...string) {
	for _, h := range hidden {
		if i := strings.Index(text, h); i >= 0 {
			require.Fail(s.v, "shown to who should not see it",
				"%s holds %q: …%q…", where, h, text[max(0, i-200):min(len(text), i+len(h)+50)])
		}
	}
}

// signatures returns the values in the headers that prove who sent a delivery.
func signatures(h http.Header) (values []string) {
	for _, name := range []string{"Stripe-Signature", "Webhook-Signature"} {
		for item := range strings.SplitSeq(h.Get(name), ",") {
			if value := strings.TrimPrefix(item, "v1="); len(value) > 20 {
				values = append(values, value)
			}
		}
	}
	return values
}

// key is the secret as Standard Webhooks reads it.
func key(s *site, secret string) string {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(s.v, err)
	return string(raw)
}
