package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is the path that the import paths of this repository start with.
const module = "github.com/hookyard/hookyard"

// Build runs `go build -o to` with the arguments, which end with the package.
// Where the tests look for data races, so does the program: it prints each race
// that it finds and ends with status 66.
func Build(ctx context.Context, to string, args ...string) error {
	return BuildIn(ctx, "", to, args...)
}

// BuildIn is Build in another module's folder.
func BuildIn(ctx context.Context, folder, to string, args ...string) error {
	all := append([]string{"build", "-o", to}, raceFlags()...)
	cmd := exec.CommandContext(ctx, "go", append(all, args...)...) //nolint:gosec // the Go command
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Plain is Build without the race detector, for what it would falsify: memory.
func Plain(ctx context.Context, to string, args ...string) error {
	if out, err := exec.CommandContext(ctx, "go", append([]string{"build", "-o", to}, args...)...).CombinedOutput(); err != nil { //nolint:gosec // the Go command
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Hookyard builds the hookyard command into the folder and returns its path.
// The flags are `go build`'s.
func Hookyard(ctx context.Context, folder string, flags ...string) (string, error) {
	program := filepath.Join(folder, "hookyard")
	return program, Build(ctx, program, append(flags, module+"/cmd/hookyard")...)
}

// Setup prepares the Temporal that the variables lead to, with `hookyard setup`.
func Setup(ctx context.Context, hookyard string, vars []string) error {
	cmd := exec.CommandContext(ctx, hookyard, "setup")
	cmd.Env = vars
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hookyard setup: %w\n%s", err, out)
	}
	return nil
}

// DevServerProgram has hookyard build the dev server, which takes minutes the
// first time, and returns its path. It says on progress what it does.
func DevServerProgram(ctx context.Context, hookyard string, progress io.Writer) (string, error) {
	var path bytes.Buffer
	cmd := exec.CommandContext(ctx, hookyard, "dev", "--prepare")
	cmd.Stdout, cmd.Stderr = &path, progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hookyard dev --prepare: %w", err)
	}
	return strings.TrimSpace(path.String()), nil
}

// The programs of Temporal that devserver/go.mod names as tools.
const (
	TemporalServer  = "go.temporal.io/server/cmd/server"
	TemporalSQLTool = "go.temporal.io/server/cmd/tools/sql"
	TemporalUI      = "github.com/temporalio/ui-server/v2/cmd/server"
)

// S3Server is the S3 server that tests/s3server/go.mod names as a tool: a gateway
// that keeps a bucket in a folder. Its dependencies are in no other go.mod.
const S3Server = "github.com/versity/versitygw/cmd/versitygw"

// Tool returns the path of a tool of the module in this folder of the repository,
// devserver for example. The go command builds it where its cache does not have
// it, which takes minutes the first time.
func Tool(ctx context.Context, folder, tool string) (string, error) {
	root, err := goSays(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", err
	}
	return goSays(ctx, filepath.Join(root, folder), "tool", "-n", tool)
}

// goSays runs the go command in the folder and returns what it prints.
func goSays(ctx context.Context, folder string, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the Go command
	cmd.Dir = folder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	return strings.TrimSpace(out.String()), nil
}
