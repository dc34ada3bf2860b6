package command

import (
	"path/filepath"
	"slices"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/journal"
)

// journalFile is the journal's file, in the folder of the store's.
const journalFile = "hookyard-journal.db"

// JournalPlace says where the journal is that the config asks for.
func JournalPlace(cfg *config.Config) journal.Place {
	if !cfg.Store.Postgres.IsZero() {
		return journal.Place{Postgres: cfg.Store.Postgres.Reveal(), MaxSize: cfg.Journal.MaxSize}
	}
	return journal.Place{SQLite: filepath.Join(filepath.Dir(cfg.Store.SQLite), journalFile), MaxSize: cfg.Journal.MaxSize}
}

// Journals reports whether a source has a journal.
func Journals(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Journal })
}
