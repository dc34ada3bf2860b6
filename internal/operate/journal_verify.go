package operate

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
)

func journalVerifyCommand(env command.Env, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check the journal's file, and the checksum of each event that waits",
		Long: `Have SQLite check the journal's file, and check each event that waits against its
checksum. It changes nothing, and exits 1 where something is damaged. The drain
sets a damaged event aside by itself, and an edge that starts moves a damaged
file aside.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withJournal(cmd.Context(), env, *file, func(t *journal.Tables) error {
				records, damaged, err := t.Verify(cmd.Context())
				if err != nil {
					return err
				}
				for _, r := range damaged {
					fmt.Fprintf(env.Stdout, "damaged: %s, source %s, record %d\n", command.PlainLine(r.WorkflowID, 220), command.PlainLine(r.Source, 60), r.Seq)
				}
				fmt.Fprintf(env.Stdout, "%s checked, %d damaged.\n", command.Count(int(records), "event"), len(damaged))
				if len(damaged) > 0 {
					return command.ErrSilent
				}
				return nil
			})
		},
	}
}

func journalRecoverCommand(env command.Env, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "recover FILE",
		Short: "Get the events out of a damaged file that was moved aside",
		Long: `Add the events of a damaged file to the journal: those that SQLite can read and
whose checksum is right. The edge has moved such a file aside, as
hookyard-journal.db.damaged-TIME, and has said so in its log. The
events stay in that file too, and the command can be run again: what is in the
journal already is not added twice, and Temporal refuses what it started before.

It exits 1 where something could not be recovered. Senders have been told that
those events are stored; the provider may have a list of what it sent.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return err
			}
			return withJournal(cmd.Context(), env, *file, func(t *journal.Tables) error {
				r, err := t.Recover(cmd.Context(), args[0])
				fmt.Fprintf(env.Stdout, "%s added, to be started; %d known already.\n", command.Count(int(r.Added), "event"), r.Known)
				if r.SetAside > 0 {
					fmt.Fprintf(env.Stdout, "Set aside in that file, and not added: %s.\n", command.Count(int(r.SetAside), "record"))
				}
				if err != nil {
					return err
				}
				if r.Damaged == 0 && r.Unread == 0 && r.FirstLoss == nil {
					return nil
				}
				unread := fmt.Sprintf("up to %d", r.Unread)
				if r.Unread < 0 {
					unread = "an unknown number"
				}
				return errors.Join(fmt.Errorf("lost: %d damaged, %s unreadable", r.Damaged, unread), r.FirstLoss)
			})
		},
	}
}
