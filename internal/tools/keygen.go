package tools

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/payload"
)

func keygenCommand(env command.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen",
		Short: "Make a key for encryption.keys or store.key",
		Long: `Print a new key of 32 random bytes in base64 to standard output, and its id to
standard error. Put the key into a file or a variable, and name that under
encryption.keys or store.key. The id is public: it is beside everything that
the key encrypts, and errors name it.`,
		Example: "  hookyard keygen > /run/secrets/hookyard-key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := payload.NewKey()
			k, err := payload.ParseKey(text)
			if err != nil {
				return err
			}
			fmt.Fprintf(env.Stderr, "The key's id is %s.\n", k.ID())
			_, err = fmt.Fprintln(env.Stdout, text)
			return err
		},
	}
}
