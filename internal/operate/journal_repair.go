package operate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
)

// setAsideRepair is what `journal retry` and `journal drop` have in common.
type setAsideRepair struct {
	verb, did string
	do        func(ctx context.Context, t *journal.Tables, id int64) error

	all, yes bool
	some     journal.Some
}

func journalRetryCommand(env command.Env, file *string) *cobra.Command {
	r := &setAsideRepair{verb: "Put back", did: "put back", do: func(ctx context.Context, t *journal.Tables, id int64) error {
		return t.Retry(ctx, id, time.Now())
	}}
	return r.command(env, file, &cobra.Command{
		Use:   "retry ID...",
		Short: "Put records back that were set aside, to be started",
		Long: `Put records back that were set aside, as if they had just come. The drain of a
running edge starts them. IDs are those of "hookyard journal list --set-aside".

Temporal refuses an event that it started before, as long as it remembers. It may
have forgotten one that is "too-old": look first whether its work was done.

One that is damaged stays where it is.`,
		Example: "  hookyard journal retry 12 13\n  hookyard journal retry --all --reason failing",
	})
}

func journalDropCommand(env command.Env, file *string) *cobra.Command {
	r := &setAsideRepair{verb: "Delete for ever", did: "dropped", do: func(ctx context.Context, t *journal.Tables, id int64) error {
		return t.Drop(ctx, id)
	}}
	return r.command(env, file, &cobra.Command{
		Use:   "drop ID...",
		Short: "Delete records for ever that were set aside",
		Long: `Delete records for ever that were set aside. Their senders were told that the
events are stored, and do not send them again. IDs are those of "hookyard journal
list --set-aside"; "hookyard journal show WORKFLOW_ID --payload" prints what an
event holds.`,
		Example: "  hookyard journal drop 12 --yes",
	})
}

func (r *setAsideRepair) command(env command.Env, file *string, cmd *cobra.Command) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := r.check(cmd, env, args)
		if err != nil {
			return err
		}
		return withJournal(cmd.Context(), env, *file, func(t *journal.Tables) error { return r.run(cmd.Context(), env, t, ids) })
	}
	cmd.Flags().BoolVar(&r.all, "all", false, "all that fit --source and --reason")
	cmd.Flags().StringVar(&r.some.Source, "source", "", "with --all: those of this source")
	cmd.Flags().StringVar(&r.some.Reason, "reason", "", "with --all: those that were set aside for this reason")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	return cmd
}

func (r *setAsideRepair) check(cmd *cobra.Command, env command.Env, args []string) (ids []int64, err error) {
	if r.all == (len(args) > 0) {
		return nil, command.Usage(fmt.Errorf("journal %s: want IDs, or --all; see `hookyard journal %s --help`", cmd.Name(), cmd.Name()))
	}
	for _, text := range args {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, command.Usage(fmt.Errorf("%q is no ID; want a number that `hookyard journal list --set-aside` prints", text))
		}
		ids = append(ids, id)
	}
	if !r.all && (r.some.Source != "" || r.some.Reason != "") {
		return nil, command.Usage(errors.New("--source and --reason go with --all"))
	}
	if !r.yes && !command.IsTerminal(env.Stdin) {
		return nil, command.Usage(errors.New("standard input is no terminal, so nobody can be asked; add --yes if it is to be done"))
	}
	return ids, nil
}

func (r *setAsideRepair) run(ctx context.Context, env command.Env, t *journal.Tables, ids []int64) error {
	what := command.Count(len(ids), "record")
	if r.all {
		what = "all records that fit"
	}
	if !r.yes {
		answer, err := ask(ctx, env, fmt.Sprintf("%s %s? [y/N] ", r.verb, what))
		if err != nil {
			return err
		}
		if answer != "y" && answer != "yes" {
			fmt.Fprintln(env.Stderr, "Nothing was done.")
			return command.ErrSilent
		}
	}
	done, failed := 0, 0
	each := func(ids []int64) error {
		for _, id := range ids {
			switch err := r.do(ctx, t, id); {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				failed++
				fmt.Fprintf(env.Stderr, "record %d: %v\n", id, err)
			default:
				done++
			}
		}
		return nil
	}
	err := each(ids)
	for some := r.some; r.all && err == nil; {
		some.Limit = journalPage
		var page []journal.Aside
		if page, err = t.SetAside(ctx, some); err != nil || len(page) == 0 {
			break
		}
		ids = ids[:0]
		for _, a := range page {
			ids = append(ids, a.Seq)
		}
		some.After = page[len(page)-1].Seq
		err = each(ids)
	}
	fmt.Fprintf(env.Stdout, "%s %s", command.Count(done, "record"), r.did)
	if failed > 0 {
		fmt.Fprintf(env.Stdout, ", %d failed", failed)
	}
	fmt.Fprintln(env.Stdout, ".")
	if err == nil && failed > 0 {
		return command.ErrSilent
	}
	return err
}
