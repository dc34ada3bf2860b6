package activities

import (
	"context"
	_ "embed" // for Demo
	"errors"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/config"
)

// Demo is the config that `dev` runs where there is none.
//
//go:embed demo.yaml
var Demo string

// Config is the `app:` section of the config. What is absent is not opened, and
// a step that needs it fails with NotConfigured.
type Config struct {
	Ledger *LedgerConfig
	Mail   *MailConfig
	Build  *BuildConfig
}

// LedgerConfig is where payments and orders are recorded: one of the two.
type LedgerConfig struct {
	SQLite   config.Path `config:"sqlite"` // a file, created where it is missing
	Postgres config.Secret
}

// Validate implements config.Validator.
func (c *LedgerConfig) Validate() error {
	return oneOf("sqlite", c.SQLite != "", "postgres", !c.Postgres.IsZero())
}

// MailConfig is how mail leaves: by SMTP, or as files of a folder.
type MailConfig struct {
	SMTP   config.Secret `config:"smtp"`
	Folder config.Path
	From   string `config:"from,required"` // "Shop <billing@example.com>"
}

// Validate implements config.Validator.
func (c *MailConfig) Validate() error {
	_, err := address(c.From)
	return errors.Join(err, oneOf("smtp", !c.SMTP.IsZero(), "folder", c.Folder != ""))
}

// BuildConfig is the service that builds are asked of.
type BuildConfig struct {
	URL   config.URL    `config:"url,required"`
	Token config.Secret // sent as a bearer token; none where it is absent
}

func oneOf(a string, hasA bool, b string, hasB bool) error {
	switch {
	case hasA && hasB:
		return errors.New("has both " + a + " and " + b + "; keep one")
	case !hasA && !hasB:
		return errors.New("has neither " + a + " nor " + b + "; add one")
	}
	return nil
}

// Open connects the Activities to what the config names.
func Open(ctx context.Context, s hookyard.Setup) ([]any, func() error, error) {
	cfg, _ := s.Config.(*Config) // what App.Config is a copy of
	var (
		ledger = &Ledger{}
		mail   = &Mail{}
		build  = &Build{}
		err    error
	)
	switch c := cfg.Ledger; {
	case c == nil:
	case c.SQLite != "":
		ledger, err = OpenSQLite(ctx, string(c.SQLite), LedgerTraces(s.Tracer))
	default:
		ledger, err = OpenPostgres(ctx, c.Postgres.Reveal(), LedgerTraces(s.Tracer))
	}
	if err != nil {
		return nil, nil, err
	}
	closeAll := func() error {
		if ledger.DB == nil {
			return nil
		}
		return ledger.DB.Close()
	}
	switch c := cfg.Mail; {
	case c == nil:
	case c.Folder != "":
		mail, err = OpenMailFolder(string(c.Folder), c.From)
	default:
		mail, err = OpenSMTP(c.SMTP.Reveal(), c.From)
	}
	if c := cfg.Build; c != nil {
		build = &Build{URL: string(c.URL), Token: c.Token.Reveal()}
	}
	return []any{ledger, mail, build}, closeAll, err
}
