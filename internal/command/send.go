package command

import (
	"fmt"
	"net/url"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/send/egress"
)

// Egress returns the client that endpoints are reached by.
func Egress(cfg *config.Config) (*egress.Client, error) {
	o := egress.Options{Allow: cfg.Send.Allow, Deny: cfg.Send.Deny}
	for _, port := range cfg.Send.Ports {
		o.Ports = append(o.Ports, uint16(port)) //nolint:gosec // the config takes no larger one
	}
	if proxy := cfg.Send.Proxy.Reveal(); proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("send.proxy: %s is not an http or https URL", cfg.Send.Proxy.Ref())
		}
		o.Proxy = u
	}
	return egress.New(o), nil
}

// checkSend finds what keeps the sending side from being opened.
func checkSend(cfg *config.Config, skipSecrets bool) (mistakes []config.Mistake) {
	if cfg.Send == nil {
		return nil
	}
	if cfg.Store.Key.IsZero() {
		mistakes = append(mistakes, cfg.Mistake("send", "send: the secrets of endpoints are encrypted in the store; add store: {key: env:HOOKYARD_STORE_KEY}, 32 bytes in base64"))
	}
	if skipSecrets {
		return mistakes
	}
	for _, key := range cfg.Send.Keys {
		const shortest = 16
		if len(key.Reveal()) < shortest {
			mistakes = append(mistakes, cfg.Mistake("send.keys", "send.keys: %s is shorter than %d bytes, so it could be guessed; make one with: openssl rand -hex 32", key.Ref(), shortest))
		}
	}
	if _, err := Egress(cfg); err != nil {
		mistakes = append(mistakes, cfg.Mistake("send.proxy", "%v", err))
	}
	return mistakes
}
