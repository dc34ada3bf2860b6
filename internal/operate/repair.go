package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// repair is one thing that a person can do to a run that has stopped.
type repair interface {
	// words are what it is called before and after: "resume", "resumed".
	words() (does, did string)
	// do does it to a run that was looked at a moment ago, and says what it
	// did. The error is errAlreadyDone where there was nothing left to do.
	do(ctx context.Context, o *operator, r eventrun.Run) (said string, err error)
}

// errAlreadyDone is a run that is no longer what it was listed as: somebody
// has dealt with it.
var errAlreadyDone = errors.New("it was dealt with already")

// repairFlags are the flags that all repairs have.
type repairFlags struct {
	by, why string
	all     bool
	only    filter
	yes     bool
	rate    float64
}

// bulkHelp is the part of every repair's help that is about --all.
const bulkHelp = `

With --all, it is done to every parked run that fits --source, --type, --reason
and --older-than, after a question that says how many there are; --yes answers
it. Each run is looked at again just before: one that somebody has dealt with
since is left alone and counted as already done. So the same command can be run
again after an interrupt or an error, and does only what is left.`

func (f *repairFlags) flags(cmd *cobra.Command, env command.Env) {
	cmd.Long += bulkHelp
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 != f.all && len(args) < 2 {
			return nil
		}
		return command.Usage(errors.New("want the Workflow Id of one run, or --all"))
	}
	byFlags(cmd, env, &f.by, &f.why)
	cmd.Flags().BoolVar(&f.all, "all", false, "do it to every parked run that fits the filters")
	filterFlags(cmd, &f.only)
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask; one run is never asked about")
	cmd.Flags().Float64Var(&f.rate, "rate", 50, "with --all: runs per second at most")
}

// byFlags adds the flags for who does it and why.
func byFlags(cmd *cobra.Command, env command.Env, who, why *string) {
	cmd.Flags().StringVar(who, "by", somebody(env), "who does it; the run keeps it")
	cmd.Flags().StringVar(why, "why", "", "for what reason; the run keeps it")
}

// check finds mistakes in the command line, before anything is asked of
// Temporal.
func (f *repairFlags) check(cmd *cobra.Command) error {
	if err := f.only.check(); err != nil {
		return err
	}
	if f.rate <= 0 {
		return command.Usage(fmt.Errorf("--rate %v: want more than 0 runs per second", f.rate))
	}
	if f.all {
		return nil
	}
	for _, name := range append(filterFlagNames(), "rate") {
		if cmd.Flags().Changed(name) {
			return command.Usage(fmt.Errorf("--%s goes with --all, not with one run", name))
		}
	}
	return nil
}

// needWhy is for what cannot be taken back.
func (f *repairFlags) needWhy() error {
	if strings.TrimSpace(f.why) == "" {
		return command.Usage(errors.New("say why, with --why: it is kept with the run for whoever asks later"))
	}
	return nil
}

// run does the repair to the run that was named, or to all that were meant.
func (f *repairFlags) run(cmd *cobra.Command, env command.Env, args []string, what repair) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	if f.all && !f.yes && !command.IsTerminal(env.Stdin) {
		return command.Usage(errors.New("standard input is no terminal, so nobody can be asked; add --yes if it is to be done to all of them"))
	}
	o, err := newOperator(ctx, env)
	if err != nil {
		return err
	}
	defer o.close()
	o.by, o.why = f.by, f.why
	if f.all {
		return repairAll(ctx, env, o, what, f)
	}
	r, err := o.describe(ctx, args[0])
	if err != nil {
		return err
	}
	said, err := what.do(ctx, o, r)
	if errors.Is(err, errAlreadyDone) {
		return fmt.Errorf("run %q has changed since it was looked at; see `%s parked show %s`", r.ID, command.Invocation(), r.ID)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: %s\n", r.ID, said)
	return err
}
