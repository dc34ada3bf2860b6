package provider

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzTimestamp looks for a signed time that is taken although it is far from
// the clock, and for one that is read as another time than was written.
func FuzzTimestamp(f *testing.F) {
	for _, sent := range []string{"1767225600", "1767225600000", "2026-01-01T00:00:00.000Z", "-1", "+1", "0", "999999999999999", "1e9", "9999-12-31T23:59:59.999999999-23:59", "0000-01-01T00:00:00Z", " 1", "\xff"} {
		f.Add(sent, int64(0))
		f.Add(sent, int64(1<<40))
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, sent string, shift int64) {
		now := start.Add(time.Duration(shift % int64(1000*time.Hour)))
		for name, unit := range clockUnits {
			require.NoError(t, (&timestamp{unit: name, tolerance: 5 * time.Minute}).check(unit.format(now), now), "the time itself")
			err := (&timestamp{unit: name, tolerance: 5 * time.Minute}).check(sent, now)
			at, unreadable := unit.parse(sent)
			switch {
			case unreadable != nil:
				require.ErrorIs(t, err, ErrMalformed)
			case at.Before(now.Add(-5*time.Minute - time.Second)), at.After(now.Add(5*time.Minute + time.Second)):
				require.ErrorIs(t, err, ErrStale)
				require.NotContains(t, strings.ReplaceAll(err.Error(), strconv.Quote(clip(sent)), ""), "-", "a span of time has no sign")
			case at.After(now.Add(-5*time.Minute)) && at.Before(now.Add(5*time.Minute)):
				require.NoError(t, err)
			}
		}
	})
}

// FuzzTemplate looks for text that a template changes on its way, and for a
// value that makes JSON of an answer something else.
func FuzzTemplate(f *testing.F) {
	f.Add(`v0:{timestamp}:{body}`, "a", []byte("b"))
	f.Add(`{"challenge":"{json:challenge}"}`, "", []byte(`{"challenge":"a\"b\\"}`))
	f.Add("{{{body}}}", "{body}", []byte(`"`))
	f.Add("{header:A}-{json:b|c}{", "\xff", []byte("\xff"))
	f.Fuzz(func(t *testing.T, text, sent string, body []byte) {
		var quoted string
		require.NoError(t, json.Unmarshal([]byte(`"`+string(escapeJSON(body))+`"`), &quoted))
		if utf8.Valid(body) {
			require.Equal(t, string(body), quoted)
		}

		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		v := &view{
			Delivery:  &Delivery{Method: http.MethodPost, URL: "https://h.example/?a=" + sent, Header: http.Header{"A": {sent}}, Body: body},
			timestamp: sent, id: sent,
		}
		got, missing := parsed.pieces(v)
		whole, ok := parsed.text(v)
		require.Equal(t, missing == "", ok)
		if ok {
			require.Equal(t, whole, string(got.join()))
		}
		require.Equal(t, string(body), string(v.Body))
	})
}
