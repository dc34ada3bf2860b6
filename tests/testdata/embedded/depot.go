package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/config"
)

// Config is the `app:` section.
type Config struct {
	Depot DepotConfig `config:"depot,required"`
}

// DepotConfig is the depot that parcels are announced to.
type DepotConfig struct {
	URL    config.URL    `config:"url,required"`
	Token  config.Secret `config:"token,required"`
	Region string
}

// Validate implements config.Validator.
func (c *DepotConfig) Validate() error {
	if c.Region != strings.ToLower(c.Region) {
		return errors.New("region is written in small letters")
	}
	return nil
}

// Depot takes parcels.
type Depot struct{ cfg DepotConfig }

// Announce says what the config has, and never the token.
func (d *Depot) Announce(_ context.Context, key, parcel, note string) (string, error) {
	if d.cfg.Token.Reveal() == "" {
		return "", errors.New("no token")
	}
	return fmt.Sprintf("%s announced to %s, %s, under %s: %s", parcel, d.cfg.URL, d.cfg.Region, key, note), nil
}

func open(_ context.Context, s hookyard.Setup) ([]any, func() error, error) {
	cfg, ok := s.Config.(*Config)
	if !ok {
		return nil, nil, fmt.Errorf("the config is a %T", s.Config)
	}
	return []any{&Depot{cfg.Depot}}, nil, nil
}
