package dev

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/hookyard/hookyard/internal/command"
)

// programBuilder builds this program from its source, again and again.
type programBuilder struct {
	env    command.Env
	folder string // holds what was built
	module string // folder of the module, set by findModule

	builds  int
	current string // the last one that was built, "" before
	digest  []byte // of it
}

// findModule finds the module in which this program's source is: that of the
// folder that it runs in.
func (b *programBuilder) findModule(ctx context.Context) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("dev --watch: this program does not say which module it was built from; build it with the go command")
	}
	said, err := b.goCommand(ctx, "", "list", "-m", "-f", "{{.Path}}\n{{.Dir}}")
	if err != nil {
		return fmt.Errorf("dev --watch builds the program from its source, so run it in the folder of module %s: %w", info.Main.Path, err)
	}
	path, folder, _ := bytes.Cut(bytes.TrimSpace(said), []byte("\n"))
	switch string(path) {
	case info.Main.Path:
	case "command-line-arguments": // as the go command calls what is no module
		return fmt.Errorf("dev --watch builds the program from its source, and there is no go.mod here; run it in the folder of module %s", info.Main.Path)
	default:
		return fmt.Errorf("dev --watch builds the program from its source, and this folder belongs to module %s; run it in the folder of module %s", path, info.Main.Path)
	}
	b.module = string(folder)
	return nil
}

// build builds the program. changed says that it is another than the last one.
func (b *programBuilder) build(ctx context.Context) (program string, changed bool, err error) {
	b.builds++
	program = filepath.Join(b.folder, strconv.Itoa(b.builds), programName())
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		return "", false, err
	}
	// The commit is left out: it would make equal programs differ.
	if _, err := b.goCommand(ctx, b.module, "build", "-buildvcs=false", "-o", program, command.MainPackage()); err != nil {
		return "", false, fmt.Errorf("does not build: %w", err)
	}
	digest, err := digestOf(program)
	if err != nil {
		return "", false, err
	}
	if bytes.Equal(digest, b.digest) {
		return b.current, false, os.RemoveAll(filepath.Dir(program))
	}
	if b.current != "" {
		_ = os.RemoveAll(filepath.Dir(b.current)) // it may still run, which Windows does not like
	}
	b.current, b.digest = program, digest
	return program, true, nil
}

// embedded returns the folders of the module that hold embedded files.
func (b *programBuilder) embedded(ctx context.Context) (map[string]bool, error) {
	said, err := b.goCommand(ctx, b.module, "list", "-f", `{{$dir := .Dir}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`, "./...")
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for file := range strings.Lines(string(said)) {
		folders[filepath.Dir(filepath.FromSlash(strings.TrimSpace(file)))] = true
	}
	return folders, nil
}

// goCommand runs the go command and returns what it prints. The error holds what
// it says about a failure.
func (b *programBuilder) goCommand(ctx context.Context, folder string, args ...string) ([]byte, error) {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return nil, errors.New("there is no `go` on PATH; install it from https://go.dev/dl")
	}
	cmd := exec.CommandContext(ctx, compiler, args...)
	cmd.Dir, cmd.Env = folder, b.env.Vars
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// programName is what the program's file is called, as Invocation says it.
func programName() string {
	exe, err := os.Executable()
	if err != nil {
		return "program"
	}
	return filepath.Base(exe)
}

func digestOf(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return sum.Sum(nil), err
}
