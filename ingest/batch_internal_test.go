package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

func TestDistinct(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sent, want []string // id=payload
		logged     string
	}{
		"one":                      {[]string{"a=1"}, []string{"a=1"}, ""},
		"distinct":                 {[]string{"a=1", "b=1"}, []string{"a=1", "b=1"}, ""},
		"the same event":           {[]string{"a=1", "b=1", "a=1"}, []string{"a=1", "b=1"}, "equal=1 different=0"},
		"one id, two events":       {[]string{"a=1", "a=2"}, []string{"a=1", "a:d4735e3a265e16ee=2"}, "equal=0 different=1"},
		"three, one of them twice": {[]string{"a=1", "a=2", "a=3", "a=2"}, []string{"a=1", "a:d4735e3a265e16ee=2", "a:4e07408562bedb8b=3"}, "equal=1 different=3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := New(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			source := &Source{Provider: receiver(t, "line"), name: "line"}
			var identities []provider.Identity
			for _, sent := range tt.sent {
				id, payload, _ := bytes.Cut([]byte(sent), []byte("="))
				identities = append(identities, provider.Identity{ID: string(id), Payload: payload})
			}
			for range 2 { // a redelivery has the same ids
				var got []string
				for _, identity := range s.distinct(t.Context(), source, identities) {
					got = append(got, fmt.Sprintf("%s=%s", identity.ID, identity.Payload))
				}
				require.Empty(t, cmp.Diff(tt.want, got))
			}
			if tt.logged == "" {
				require.Empty(t, log.String())
				return
			}
			require.Contains(t, log.String(), tt.logged)
		})
	}
}
