package command

import (
	"path/filepath"
	"slices"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/payload"
)

// journalFile is the journal's file, in the folder of the store's.
const journalFile = "hookyard-journal.db"

// JournalPlace says where the journal is that the config asks for.
func JournalPlace(at config.Store, bounds config.Journal) journal.Place {
	if !at.Postgres.IsZero() {
		return journal.Place{Postgres: at.Postgres.Reveal(), MaxSize: bounds.MaxSize}
	}
	return journal.Place{SQLite: filepath.Join(filepath.Dir(at.SQLite), journalFile), MaxSize: bounds.MaxSize}
}

// FindJournal says where the journal is, for a command that reads nothing else of
// the config.
func FindJournal(named string, env Env) (journal.Place, error) {
	path, err := FindConfig(named, env)
	if err != nil {
		return journal.Place{}, err
	}
	at, bounds, err := config.LoadJournal(path, config.Options{LookupEnv: env.LookupEnv})
	if err != nil {
		return journal.Place{}, missing(path, err)
	}
	payloads, err := config.LoadPayloads(path, config.Options{LookupEnv: env.LookupEnv})
	if err != nil {
		return journal.Place{}, missing(path, err)
	}
	keys, err := EncryptionKeys(payloads.Encryption)
	place := JournalPlace(at, bounds)
	place.Cipher = payload.NewCodec(keys)
	return place, err
}

// Journals reports whether a source has a journal.
func Journals(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Journal })
}
