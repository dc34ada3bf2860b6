package dev

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	"golang.org/x/mod/module"

	"github.com/hookyard/hookyard/internal/command"
)

// newFiles is the repository that `new` writes. The name of each file ends in
// .tmpl, so that the go command does not take it for a part of this module.
//
//go:embed all:template
var newFiles embed.FS

func newCommand(env command.Env) *cobra.Command {
	var modulePath string
	cmd := &cobra.Command{
		Use:   "new FOLDER",
		Short: "Write a repository with a program of your own",
		Long: `Write a repository with a program of your own: Hookyard with a Workflow, an
Activity, a provider file, their tests and a config. It builds and runs as it
is. FOLDER must be empty or not exist. The secrets in it are made up, and are kept
out of git.`,
		Example: "  hookyard new hooks\n  hookyard new hooks --module example.com/shop/hooks",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return newRepository(cmd.Context(), env, args[0], modulePath)
		},
	}
	cmd.Flags().StringVar(&modulePath, "module", "", "the module's path (default the name of FOLDER)")
	return cmd
}

// repository is what the template's files are filled with.
type repository struct {
	Module   string // "example.com/hooks"
	Name     string // of the program: "hooks"
	Version  string // of Hookyard
	Checkout string // the folder of Hookyard's source; empty for a release
}

func newRepository(ctx context.Context, env command.Env, dir, modulePath string) error {
	repo, err := describeRepository(dir, modulePath)
	if err != nil {
		return err
	}
	if err := mustBeEmpty(dir); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "module %s in %s:\n", repo.Module, dir)
	if err := repo.write(dir, env.Stdout); err != nil {
		return fmt.Errorf("write the repository: %w", err)
	}
	if err := tidy(ctx, env, dir); err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, `
It is ready. Try it; the last command is for another terminal:

  cd %s
  go run . dev
  go run . send acme order.created
`, dir)
	return nil
}

// describeRepository finds the names for a repository in the folder, and the
// Hookyard that it builds on: the one that this program was built with.
func describeRepository(dir, modulePath string) (repository, error) {
	if modulePath == "" {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return repository{}, err
		}
		modulePath = filepath.Base(absolute)
	}
	if err := module.CheckImportPath(modulePath); err != nil {
		return repository{}, command.Usage(fmt.Errorf("new: %w; name another with --module, such as example.com/hooks", err))
	}
	if modulePath == command.Module || strings.HasPrefix(modulePath, command.Module+"/") {
		return repository{}, command.Usage(fmt.Errorf("new: %q is Hookyard's own module; name another with --module, such as example.com/hooks", modulePath))
	}
	prefix, _, ok := module.SplitPathVersion(modulePath)
	if !ok {
		prefix = modulePath
	}
	repo := repository{Module: modulePath, Name: path.Base(prefix), Version: command.Version()}
	if folder := devServerFolder(); folder != "" {
		repo.Checkout, repo.Version = filepath.Dir(folder), "v0.0.0"
	} else if !module.IsPseudoVersion(repo.Version) && module.Check(command.Module, repo.Version) != nil || strings.Contains(repo.Version, "+") {
		return repository{}, fmt.Errorf("new: this program has Hookyard %q, which is no release, from a checkout that is gone; run `new` in a checkout of Hookyard", repo.Version)
	}
	return repo, nil
}

// mustBeEmpty refuses a folder that holds anything. A repository that git has
// just made is fine.
func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("new: %w; name a folder", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".git" })
	if len(entries) > 0 {
		return fmt.Errorf("new: folder %q is not empty: it has %q; name a folder that is empty or does not exist", dir, entries[0].Name())
	}
	return nil
}

// write writes the files, and then the secrets that the config names.
func (r repository) write(dir string, progress io.Writer) error {
	root, err := fs.Sub(newFiles, "template")
	if err != nil {
		return err
	}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := r.fill(root, name)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(name, ".tmpl")
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a source folder
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil { //nolint:gosec // a source file
			return err
		}
		fmt.Fprintln(progress, "  "+name)
		return nil
	})
	if err != nil {
		return err
	}
	return writeSecrets(dir, progress)
}

func (r repository) fill(root fs.FS, name string) ([]byte, error) {
	parsed, err := template.New(path.Base(name)).ParseFS(root, name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, r)
	return text.Bytes(), err
}

// writeSecrets makes up each secret that the config names.
func writeSecrets(dir string, progress io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, command.DefaultConfig))
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "secrets")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, name := range demoSecret.FindAllSubmatch(text, -1) {
		if err := writeSecretOnce(filepath.Join(folder, string(name[1]))); err != nil {
			return err
		}
		fmt.Fprintf(progress, "  secrets/%s (made up, not in git)\n", name[1])
	}
	return nil
}

// tidy has the go command complete go.mod and go.sum.
func tidy(ctx context.Context, env command.Env, dir string) error {
	const rest = "the files are written; once that is mended, run `cd %s && go mod tidy`"
	compiler, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("there is no `go` on PATH, so go.mod is not complete; install it from https://go.dev/dl; "+rest, dir)
	}
	fmt.Fprintln(env.Stdout, "go mod tidy")
	cmd := exec.CommandContext(ctx, compiler, "mod", "tidy")
	cmd.Dir, cmd.Env = dir, env.Vars
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("go mod tidy: %w\n%s\n"+rest, err, bytes.TrimSpace(said.Bytes()), dir)
	}
	return nil
}
