package command

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

// Logging are the flags of commands that log.
type Logging struct{ Level, format string }

// Flags adds the flags to a command; format is the default format.
func (l *Logging) Flags(cmd *cobra.Command, format string) {
	cmd.Flags().StringVar(&l.Level, "log-level", "info", "least level to log: debug, info, warn or error")
	cmd.Flags().StringVar(&l.format, "log-format", format, "text or json")
}

// Logger returns a logger to standard error, as the flags say.
func (l *Logging) Logger(env Env) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, Usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", l.Level))
	}
	options.Level = level
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(env.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(env.Stderr, options)), nil
	default:
		return nil, Usage(fmt.Errorf("--log-format %q: want text or json", l.format))
	}
}
