package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/store"
	"github.com/hookyard/hookyard/internal/worker"
)

// DefaultConfig is the config file that commands look for.
const DefaultConfig = "hookyard.yaml"

// Setting is a config and what was made of it.
type Setting struct {
	*config.Config
	Catalog *provider.Catalog
	Bound   map[string]*ingest.Source
}

// Load reads a config and checks everything about it that can be checked
// without a network. The error is config.Mistakes, all of them.
func Load(path string, env Env, skipSecrets bool) (*Setting, error) {
	set, mistakes, err := Examine(path, env, skipSecrets)
	if err == nil {
		err = mistakes.Err()
	}
	if err != nil {
		return nil, err
	}
	return set, nil
}

// LoadFor is Load for a command that needs one source only: mistakes elsewhere
// do not keep it from that one.
func LoadFor(path string, env Env, source string) (*Setting, error) {
	set, mistakes, err := Examine(path, env, false)
	switch {
	case err != nil:
		return nil, err
	case set.Bound[source] != nil:
		return set, nil
	}
	if _, err := set.Declared(source); err != nil && mistakes.Err() == nil {
		return nil, err
	}
	return set, mistakes.Err()
}

// Examine returns what could be made of a config, and all of its mistakes.
func Examine(path string, env Env, skipSecrets bool) (*Setting, config.Mistakes, error) {
	cfg, err := config.Load(path, config.Options{LookupEnv: env.LookupEnv, SkipSecrets: skipSecrets, App: env.App.section()})
	var mistakes config.Mistakes
	if cfg == nil || err != nil && !errors.As(err, &mistakes) {
		return nil, nil, missing(path, err)
	}
	catalog, err := env.App.Catalog()
	if err != nil {
		return nil, nil, err
	}
	catalog, found := ingest.Providers(cfg, catalog)
	mistakes = append(mistakes, found...)
	sources, found := ingest.Sources(cfg, catalog)
	mistakes = append(mistakes, found...)
	mistakes = append(mistakes, checkRetry(cfg, env.App.ActivityNames())...)
	mistakes = append(mistakes, checkForward(cfg)...)
	mistakes = append(mistakes, checkAlerts(cfg)...)
	set := &Setting{cfg, catalog, sources}
	mistakes = append(mistakes, checkPayloads(cfg, func(name string) bool {
		p, ok := catalog.Lookup(name)
		return ok && p.Batches()
	}, set.Window())...)
	mistakes = append(mistakes, checkStore(cfg, skipSecrets)...)
	mistakes = append(mistakes, checkSend(cfg, skipSecrets)...)
	cfg.Warnings = append(cfg.Warnings, warnRoutes(cfg, env.App.Workflows)...)
	return set, mistakes, nil
}

// Reconciled returns the sources that are reconciled, by name.
func (s *Setting) Reconciled() map[string]*ingest.Reconcile {
	found := map[string]*ingest.Reconcile{}
	for name, source := range s.Bound {
		if r := source.Reconcile(); r != nil {
			found[name] = r
		}
	}
	return found
}

// OwnCatalog is the program's catalog with the provider files of a config. The
// mistakes in those files are returned beside what could be made of the others;
// mistakes elsewhere in the config do not matter.
func OwnCatalog(path string, env Env) (*provider.Catalog, error) {
	cfg, err := config.Load(path, config.Options{LookupEnv: env.LookupEnv, SkipSecrets: true, App: env.App.section()})
	if cfg == nil {
		return nil, missing(path, err)
	}
	catalog, err := env.App.Catalog()
	if err != nil {
		return nil, err
	}
	catalog, found := ingest.Providers(cfg, catalog)
	return catalog, config.Mistakes(found).Err()
}

// checkStore finds a store.key that is no key.
func checkStore(cfg *config.Config, skipSecrets bool) []config.Mistake {
	key := cfg.Store.Key
	if key.Reveal() == "" || skipSecrets {
		return nil
	}
	if _, err := store.ParseKey(key.Reveal()); err != nil {
		return []config.Mistake{cfg.Mistake("store.key", "store.key: %v", err)}
	}
	return nil
}

// StoreOptions say where the store is that the config names.
func StoreOptions(cfg *config.Config) store.Options {
	return store.Options{SQLite: cfg.Store.SQLite, Postgres: cfg.Store.Postgres.Reveal()}
}

// checkRetry finds policies for Activities that the program does not have.
func checkRetry(cfg *config.Config, known []string) (mistakes []config.Mistake) {
	for name := range cfg.Retry.ByActivity {
		if !slices.Contains(known, name) {
			mistakes = append(mistakes, cfg.Mistake("retry."+name, "retry: there is no Activity %q%s", name, config.Suggest(name, known)))
		}
	}
	for _, s := range cfg.Sources {
		if s.Retry == nil {
			continue
		}
		for name := range s.Retry.ByActivity {
			if _, all := cfg.Retry.ByActivity[name]; !all && !slices.Contains(known, name) {
				mistakes = append(mistakes, cfg.Mistake("sources."+s.Name+".retry."+name, "source %q: retry: there is no Activity %q%s", s.Name, name, config.Suggest(name, known)))
			}
		}
	}
	return mistakes
}

// checkForward sees that whatever is forwarded can be signed.
func checkForward(cfg *config.Config) (mistakes []config.Mistake) {
	for _, s := range cfg.Sources {
		for _, route := range s.Routes {
			if route.Forward == nil {
				continue
			}
			if _, err := forwardSigner(s, route.Forward); err != nil {
				m := cfg.Mistake("sources."+s.Name+".routes", "source %q: route %q: forward: %v", s.Name, route.Name, err)
				m.Line = route.Line
				mistakes = append(mistakes, m)
			}
		}
	}
	return mistakes
}

// warnRoutes warns of routes to a Workflow that this program does not have.
func warnRoutes(cfg *config.Config, handlers []worker.Handler) (warnings []config.Mistake) {
	var external []string
	for _, q := range cfg.Queues {
		if q.External {
			external = append(external, q.Name)
		}
	}
	var known []string
	for _, h := range handlers {
		known = append(known, h.Pattern())
	}
	for _, s := range cfg.Sources {
		for _, route := range s.Routes {
			if route.Workflow == "" || slices.Contains(external, route.TaskQueue) {
				continue
			}
			if !slices.ContainsFunc(known, func(pattern string) bool { return event.Match(pattern, route.Workflow) }) {
				m := cfg.Mistake("sources."+s.Name+".routes", "source %q: route %q: this program has no Workflow %q%s", s.Name, route.Name, route.Workflow, config.Suggest(route.Workflow, known))
				m.Line = route.Line
				warnings = append(warnings, m)
			}
		}
	}
	return warnings
}

// Policies are the config's Retry Policies as the worker takes them.
func Policies(cfg *config.Config) worker.PolicySet {
	p := worker.PolicySet{Entries: entries(cfg.Retry), BySource: map[string]worker.Entries{}}
	for _, s := range cfg.Sources {
		if s.Retry != nil {
			p.BySource[s.Name] = entries(*s.Retry)
		}
	}
	return p
}

func entries(r config.Retries) worker.Entries {
	e := worker.Entries{Default: policy(r.Default), ByActivity: map[string]worker.Policy{}}
	for name, retry := range r.ByActivity {
		e.ByActivity[name] = policy(retry)
	}
	return e
}

// missing says what to do where the config is not there.
func missing(path string, err error) error {
	if _, wrong := errors.AsType[config.Mistakes](err); wrong || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("there is no config %q; name yours, write a program of your own with one by `hookyard new FOLDER`, or try the demo with `hookyard dev`", path)
}

// FindConfig returns the file to read: the one that was named, else the one in
// this folder, else the demo's that `hookyard dev` leaves.
func FindConfig(named string, env Env) (string, error) {
	if named != "" {
		return named, nil
	}
	home, err := UserFolders(env)
	if err != nil {
		return "", err
	}
	for _, path := range []string{DefaultConfig, filepath.Join(home.Demo(), DefaultConfig)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("config %q cannot be read: %w", path, err)
		}
	}
	return "", fmt.Errorf("there is no %s here and no demo; name yours, write a program of your own with one by `hookyard new FOLDER`, or try the demo with `hookyard dev`", DefaultConfig)
}

// Source returns the source of that name, or says which there are.
func (s *Setting) Source(name string) (*ingest.Source, error) {
	if _, err := s.Declared(name); err != nil {
		return nil, err
	}
	return s.Bound[name], nil
}

// Declared returns what the config says of the source of that name.
func (s *Setting) Declared(name string) (config.Source, error) {
	var known []string
	for _, declared := range s.Sources {
		if declared.Name == name {
			return declared, nil
		}
		known = append(known, declared.Name)
	}
	return config.Source{}, fmt.Errorf("%s has no source %q%s", s.File, name, config.Suggest(name, known))
}

func policy(r config.Retry) worker.Policy {
	return worker.Policy{
		Timeout:   r.Timeout,
		TaskQueue: r.TaskQueue,
		Retry: temporal.RetryPolicy{
			InitialInterval:    r.Initial,
			BackoffCoefficient: r.Backoff,
			MaximumInterval:    r.Max,
			MaximumAttempts:    int32(r.Attempts), //nolint:gosec // config keeps it small
		},
	}
}
