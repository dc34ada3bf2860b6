package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// production returns the paths of Temporal's own server and of its SQL tool,
// building them if they are not there. They are tools of the dev server's
// module, and so of the same version as the dev server.
func (d devServer) production(ctx context.Context) (server, sqlTool string, err error) {
	source, version, err := d.source()
	if err != nil {
		return "", "", err
	}
	if source == "" {
		return "", "", errors.New("the server for PostgreSQL is built from a checkout of Hookyard; run this in one")
	}
	folder := filepath.Join(d.cache, "temporal-"+version)
	server, sqlTool = filepath.Join(folder, "server"), filepath.Join(folder, "sql")
	if runtime.GOOS == "windows" {
		server, sqlTool = server+".exe", sqlTool+".exe"
	}
	if _, err := os.Stat(folder); err == nil {
		return server, sqlTool, nil
	}
	if err := os.MkdirAll(d.cache, 0o750); err != nil {
		return "", "", fmt.Errorf("cache folder: %w", err)
	}
	unlock, err := lockedfile.MutexAt(folder + ".lock").Lock()
	if err != nil {
		return "", "", fmt.Errorf("lock the build of Temporal's server: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return server, sqlTool, nil
	}
	return server, sqlTool, d.buildProduction(ctx, source, folder)
}

// buildProduction builds both programs into the folder, which appears at once
// and complete.
func (d devServer) buildProduction(ctx context.Context, source, folder string) error {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("%w: there is no `go` to build Temporal's server with; install it", errNoTemporal)
	}
	fmt.Fprintln(d.progress, "building Temporal's own server and its SQL tool, about 6 minutes, once")
	stop := d.tick(time.Now())
	defer stop()
	work, err := os.MkdirTemp(d.cache, "build-")
	if err != nil {
		return fmt.Errorf("cache folder: %w", err)
	}
	defer os.RemoveAll(work)
	cmd := exec.CommandContext(ctx, compiler, "build", "-ldflags=-s -w", "-o", work+string(filepath.Separator),
		"go.temporal.io/server/cmd/server", "go.temporal.io/server/cmd/tools/sql")
	cmd.Dir = source
	if said, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("build Temporal's server: %w\n%s", err, bytes.TrimSpace(said))
	}
	if err := os.Rename(work, folder); err != nil {
		return fmt.Errorf("keep Temporal's server: %w", err)
	}
	return nil
}
