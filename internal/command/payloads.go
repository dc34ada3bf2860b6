package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/payload"
)

// Payloads is how payloads leave this process, as the config says.
type Payloads struct {
	Codec *payload.Codec
	Store *payload.Store // nil without a payload_store
}

// PayloadsOf is the part of a config that OpenPayloads needs.
func PayloadsOf(cfg *config.Config) config.Payloads {
	return config.Payloads{Encryption: cfg.Encryption, Store: cfg.PayloadStore}
}

// OpenPayloads makes the codec and opens the store. It makes no connection. The
// caller calls Close.
func OpenPayloads(ctx context.Context, cfg config.Payloads) (*Payloads, error) {
	keys, err := EncryptionKeys(cfg.Encryption)
	if err != nil {
		return nil, err
	}
	p := &Payloads{Codec: payload.NewCodec(keys)}
	if s := cfg.Store; s != nil {
		if p.Store, err = payload.Open(ctx, s.Folder, s.URL, s.Over, p.Codec); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Wire has a client of Temporal send and receive payloads this way, and keeps what
// is private out of its log.
func (p *Payloads) Wire(options *client.Options) error {
	if options.Logger != nil {
		options.Logger = privateLog{Logger: options.Logger, codec: p.Codec}
	}
	return payload.Wire(options, p.Codec, p.Store)
}

// Close ends the connections to the store.
func (p *Payloads) Close() error {
	if p.Store == nil {
		return nil
	}
	return p.Store.Close()
}

// EncryptionKeys are the keys of the config. Its errors name the reference and
// hold no key. Keys that were left out of the config are left out here.
func EncryptionKeys(cfg config.Encryption) ([]payload.Key, error) {
	var keys []payload.Key
	for i, secret := range cfg.Keys {
		if secret.Reveal() == "" {
			continue
		}
		k, err := payload.ParseKey(secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("encryption: keys: item %d (%s): %w", i+1, secret.Ref(), err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// checkPayloads finds keys that are none, stores that this program cannot open,
// objects that are deleted too early and bodies that no history takes.
func checkPayloads(cfg *config.Config, batches func(provider string) bool, window Window) (mistakes []config.Mistake) {
	if _, err := EncryptionKeys(cfg.Encryption); err != nil {
		mistakes = append(mistakes, cfg.Mistake("encryption.keys", "%v", err))
	}
	if s := cfg.PayloadStore; s != nil && s.URL != "" {
		if err := payload.HasDriver(s.URL); err != nil {
			mistakes = append(mistakes, cfg.Mistake("payload_store.url", "payload_store: %v", err))
		}
	}
	switch needed := window.parkFor + window.length; {
	case window.stored == 0:
	case window.parkFor == 0:
		mistakes = append(mistakes, cfg.Mistake("payload_store.keep", "payload_store: a run may stay parked for ever, and the bucket deletes its payload after %s; add park_for: 30d", window.stored))
	case window.stored < needed:
		mistakes = append(mistakes, cfg.Mistake("payload_store.keep",
			"payload_store: the bucket deletes an object after %s, but its run may be parked for %s and is kept for %s more, as %s (source %q) may send its event again for so long; have the bucket keep objects for %s or longer",
			window.stored, window.parkFor, window.length, window.provider, window.source, needed))
	}
	for _, s := range cfg.Sources {
		if s.MaxBody > config.MaxInHistory && cfg.PayloadStore == nil && (s.Whole || !batches(s.Provider)) {
			mistakes = append(mistakes, cfg.Mistake("sources."+s.Name+".max_body",
				"source %q: max_body: above 1.9MiB a payload does not fit into Temporal; add payload_store: {url: s3://BUCKET}", s.Name))
		}
	}
	return mistakes
}

// FindPayloads opens what the config says, for a command that reads nothing else
// of it. Without a config, payloads are taken to be plain.
func FindPayloads(ctx context.Context, named string, env Env) (*Payloads, error) {
	path, err := FindConfig(named, env)
	if err != nil && named == "" {
		return OpenPayloads(ctx, config.Payloads{})
	}
	cfg, err := config.LoadPayloads(path, config.Options{LookupEnv: env.LookupEnv})
	if errors.Is(err, fs.ErrNotExist) && named == DefaultConfig { // the default of a flag
		return OpenPayloads(ctx, config.Payloads{})
	}
	if err != nil {
		return nil, missing(path, err)
	}
	return OpenPayloads(ctx, cfg)
}
