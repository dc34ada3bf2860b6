package provider_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// deliveryCase is a delivery made of trouble that people reported, or of a provider's
// documentation, and what is to become of it.
type deliveryCase struct {
	vector
	Group, Rule    string
	EventsExpected []string `json:"events_expected"`
}

func readCases(t *testing.T, file string) []deliveryCase {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var cases []deliveryCase
	for decoder := json.NewDecoder(bytes.NewReader(data)); decoder.More(); {
		var c deliveryCase
		require.NoError(t, decoder.Decode(&c))
		if c.NowUnix == 0 {
			c.NowUnix = now.Unix()
		}
		cases = append(cases, c)
	}
	return cases
}

// TestCases goes the way of a delivery with each case, and holds the ids of
// each group to its rule.
func TestCases(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, file := range []string{"testdata/cases.jsonl", "testdata/cases_more.jsonl"} {
		groups := map[string][]string{}
		for _, c := range readCases(t, file) {
			t.Run(c.ID, func(t *testing.T) {
				p, known := catalog.Lookup(c.Name())
				require.True(t, known, "there is no provider %q", c.Name())
				ids := c.judge(t, c.receiver(t, p))
				switch c.Rule {
				case "differ":
					groups[c.Group] = append(groups[c.Group], ids...)
				case "events-differ":
					require.Greater(t, len(ids), 1)
					differ(t, ids)
				case "stable":
					require.Empty(t, cmp.Diff(ids, c.judge(t, c.receiver(t, p))), "sent again")
				case "same":
					if first := groups[c.Group]; first != nil {
						require.ElementsMatch(t, first, ids)
					}
					groups[c.Group] = ids
				case "":
				default:
					require.Fail(t, "unknown rule", c.Rule)
				}
			})
		}
		for _, c := range readCases(t, file) {
			if c.Rule == "differ" {
				require.Greater(t, len(groups[c.Group]), 1, c.Group)
				differ(t, groups[c.Group])
			}
		}
	}
}

func differ(t *testing.T, ids []string) {
	sorted := slices.Sorted(slices.Values(ids))
	require.Len(t, slices.Compact(sorted), len(ids), "two events share an id: %v", ids)
}

// judge returns the ids of the events in an accepted delivery.
func (c deliveryCase) judge(t *testing.T, r *provider.Receiver) (ids []string) {
	d := c.delivery()
	answer, err := r.Greet(t.Context(), d, false)
	require.NoError(t, err)
	greeted := answer != nil
	if !greeted {
		if err = r.Verify(t.Context(), d); err == nil {
			answer, err = r.Greet(t.Context(), d, true)
			require.NoError(t, err)
			greeted = answer != nil
		}
	}
	if !c.Accept() {
		require.True(t, err != nil && provider.Reason(err) != "" || greeted && answer.Refused, "it is accepted")
		if c.Response != nil && greeted {
			c.answered(t, answer)
		}
		return nil
	}
	require.NoError(t, err)
	require.False(t, greeted && answer.Refused, "the handshake is refused")
	if !greeted {
		answer = r.Success(d)
		ids = c.events(t, r, d)
	}
	if c.Response != nil {
		c.answered(t, answer)
	}
	return ids
}

func (c deliveryCase) events(t *testing.T, r *provider.Receiver, d *provider.Delivery) (ids []string) {
	events, err := r.Identify(d)
	require.NoError(t, err)
	var types []string
	for _, e := range events {
		ids, types = append(ids, e.ID), append(types, e.Type)
	}
	if c.Response == nil {
		require.NotEmpty(t, ids)
	}
	if c.EventID != nil {
		require.Contains(t, ids, *c.EventID)
	}
	if c.EventType != nil {
		require.Contains(t, types, *c.EventType)
	}
	if c.EventsExpected != nil {
		require.Len(t, ids, len(c.EventsExpected))
	}
	return ids
}
