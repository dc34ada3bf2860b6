package dev

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hookyard/hookyard/internal/command"
)

// stopChildWithin is longer than a program lets its Activities finish.
const stopChildWithin = 20 * time.Second

// childFlags are the flags of `dev --watch` that the program it runs is given,
// too. Where Temporal is, that program learns from its environment.
func childFlags(given *pflag.FlagSet) (flags []string) {
	given.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"watch", "temporal-port", "db-filename"}, f.Name) {
			flags = append(flags, "--"+f.Name+"="+f.Value.String())
		}
	})
	return flags
}

// watch runs Temporal, and beside it `dev` of a program that is built from the
// source in this folder, anew after each change.
func watch(ctx context.Context, env command.Env, o devOptions, flags []string) error {
	home, err := command.UserFolders(env)
	if err != nil {
		return err
	}
	logger, err := o.logs.Logger(env)
	if err != nil {
		return err
	}
	options, err := temporalOptions(env, o, logger)
	if err != nil {
		return err
	}
	config, err := devFile(env, o)
	if err != nil {
		return err
	}
	builds, err := os.MkdirTemp("", buildsPattern())
	if err != nil {
		return err
	}
	defer os.RemoveAll(builds)
	builder := &programBuilder{env: env, folder: builds}
	if err := builder.findModule(ctx); err != nil {
		return err
	}
	changes, err := watchFiles(builder.module, config)
	if err != nil {
		return err
	}
	defer changes.close()

	server := &temporalProcess{options: options, builder: devServer{cache: home.Cache, progress: env.Stderr}, home: home, dev: o, output: env.Stderr}
	if err := server.start(ctx); err != nil {
		return err
	}
	defer server.stop()
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopWatching := server.watch(running, cancel)
	defer stopWatching()

	if server.process != nil {
		flags = append(flags, "--web-ui")
	}
	env.Vars = append(slices.Clone(env.Vars), "TEMPORAL_ADDRESS="+options.HostPort)
	r := &rebuilder{env: env, config: config, flags: flags, builder: builder, changes: changes}
	defer r.stop()
	err = r.run(running)
	if ctx.Err() != nil {
		return nil // a Ctrl-C is how it ends
	}
	return err
}

// buildsPattern names the folder of the builds. Where `go run` has built this
// program, the name lets the programs in it say `go run`, too: see
// command.Invocation.
func buildsPattern() string {
	if strings.HasPrefix(command.Invocation(), "go run ") {
		return "go-build-hookyard-"
	}
	return "hookyard-build-"
}

// rebuilder keeps the newest program that builds running.
type rebuilder struct {
	env     command.Env
	config  string   // "" for the demo's
	flags   []string // of the program's dev
	builder *programBuilder
	changes *changes
	child   *started // nil while none runs
	running string   // the program that child runs, or ran
}

// run builds and starts the program, and does so again after each change, until
// ctx ends.
func (r *rebuilder) run(ctx context.Context) error {
	if err := r.rebuild(ctx, nil); err != nil {
		return err
	}
	for {
		var exited chan struct{}
		if r.child != nil {
			exited = r.child.exited
		}
		files, err := r.changes.next(ctx, exited)
		switch {
		case err != nil:
			return err
		case files == nil:
			fmt.Fprintf(r.env.Stderr, "watch: the program has ended (%v); the next change starts it again\n", r.child.err)
			r.child = nil
		default:
			if err := r.rebuild(ctx, files); err != nil {
				return err
			}
		}
	}
}

// rebuild replaces the program that runs, unless the new one does not build or
// refuses its config. It returns an error only where no later change could help.
func (r *rebuilder) rebuild(ctx context.Context, files []string) error {
	began := time.Now()
	program, changed, err := r.builder.build(ctx)
	if err == nil && changed {
		r.changes.embedded, err = r.builder.embedded(ctx)
	}
	if err == nil && (program != r.running || r.child == nil || slices.ContainsFunc(files, isYAML)) {
		if err = r.check(ctx, program); err == nil {
			if len(files) > 0 {
				fmt.Fprintf(r.env.Stdout, "watch: %s: built in %s; restarting\n", some(files), time.Since(began).Round(10*time.Millisecond))
			}
			return r.restart(program)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		rest := "mend it, and the program starts"
		if r.child != nil {
			rest = "the last good build still runs"
		}
		fmt.Fprintf(r.env.Stderr, "watch: %s%v\nwatch: %s\n", prefix(files), err, rest)
	}
	return nil
}

// check has the new program look at its config, so that a mistake in it does not
// cost the program that runs.
func (r *rebuilder) check(ctx context.Context, program string) error {
	if r.config == "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, program, "check", r.config)
	cmd.Env = r.env.Vars
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s is refused: %w\n%s", filepath.Base(r.config), err, strings.TrimSpace(string(said)))
	}
	return nil
}

func (r *rebuilder) restart(program string) error {
	r.stop()
	args := append([]string{"dev"}, r.flags...)
	if r.running != "" {
		args = append(args, "--restarted")
	}
	cmd := exec.Command(program, args...) //nolint:noctx // the program just built; stop ends it
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env.Vars, r.env.Stdout, r.env.Stderr
	child, err := start(cmd)
	if err != nil {
		return err
	}
	r.child, r.running = child, program
	return nil
}

// stop ends the program that runs, if one does.
func (r *rebuilder) stop() {
	if r.child != nil {
		r.child.stop(stopChildWithin)
		r.child = nil
	}
}

func isYAML(file string) bool { return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(file)) }

// some names a few of the files.
func some(files []string) string {
	const most = 3
	if len(files) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(files[:most], ", "), len(files)-most)
	}
	return strings.Join(files, ", ")
}

func prefix(files []string) string {
	if len(files) == 0 {
		return ""
	}
	return some(files) + ": "
}
