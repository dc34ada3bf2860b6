package alert

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nicholas-fedor/shoutrrr/pkg/format"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/pagerduty"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushbullet"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/stretchr/testify/require"
)

// TestParams sees that services whose own servers no test can stand in for
// take what they are given, and that an incident is one from its first message
// to its last.
func TestParams(t *testing.T) {
	t.Parallel()
	first := Message{Title: "t", Key: "hookyard/alerts/stripe"}
	last := Message{Title: "t", Key: "hookyard/alerts/stripe", Over: true}
	for service, config := range map[string]types.ServiceConfig{
		"pagerduty": &pagerduty.Config{}, "gotify": &gotify.Config{}, "pushbullet": &pushbullet.Config{},
	} {
		resolver := format.NewPropKeyResolver(config)
		for key, value := range *(&Channel{service: service}).params(first) {
			require.NoError(t, resolver.Set(key, value), "%s %s", service, key)
		}
	}
	duty := &Channel{service: "pagerduty"}
	require.Empty(t, cmp.Diff(types.Params{"dedup_key": "hookyard/alerts/stripe", "action": "trigger"}, *duty.params(first)))
	require.Empty(t, cmp.Diff(types.Params{"dedup_key": "hookyard/alerts/stripe", "action": "resolve"}, *duty.params(last)))
	require.Empty(t, *(&Channel{service: "slack"}).params(first))
}
