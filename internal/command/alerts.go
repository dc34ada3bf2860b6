package command

import (
	"fmt"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// OpenChannels returns the channels of alerts.to. Those whose secrets were left
// out of the config are left out here.
func OpenChannels(cfg *config.Config) ([]*alert.Channel, error) {
	var channels []*alert.Channel
	for _, to := range cfg.Alerts.To {
		if to.Reveal() == "" {
			continue
		}
		c, err := alert.OpenChannel(to.Ref(), to.Reveal())
		if err != nil {
			return nil, fmt.Errorf("alerts.to: %s: %w", to.Ref(), err)
		}
		channels = append(channels, c)
	}
	return channels, nil
}

// checkAlerts finds notification URLs that no message could be sent to.
func checkAlerts(cfg *config.Config) (mistakes []config.Mistake) {
	if _, err := OpenChannels(cfg); err != nil {
		mistakes = append(mistakes, cfg.Mistake("alerts.to", "%v", err))
	}
	return mistakes
}
