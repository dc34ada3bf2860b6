package dev

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/hookyard/hookyard/internal/command"
)

// devServerModule is the module in devserver/. It is one of its own, so that
// nobody who uses Hookyard downloads a whole Temporal server with it.
const devServerModule = "github.com/hookyard/hookyard/devserver"

// devServer builds the dev server, once per version of its source.
type devServer struct {
	cache    string // folder
	progress io.Writer
}

// path returns the dev server's path, building it if it is not there. Of
// several processes that need it at once, one builds and the others wait.
func (d devServer) path(ctx context.Context) (string, error) {
	source, version, err := d.source()
	if err != nil {
		return "", err
	}
	path := filepath.Join(d.cache, "devserver-"+version)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(d.cache, 0o750); err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	unlock, err := lockedfile.MutexAt(path + ".lock").Lock()
	if err != nil {
		return "", fmt.Errorf("lock the dev server's build: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, d.build(ctx, source, path)
}

// source returns the folder of the dev server's source, or "" where only the
// published module can be built, and a name for that version of it.
func (d devServer) source() (folder, version string, err error) {
	if folder := devServerFolder(); folder != "" {
		version, err := fingerprint(folder)
		return folder, version, err
	}
	version = command.Version()
	if version == "" || version == "(devel)" || version == "unknown" {
		return "", "", fmt.Errorf("%w: this hookyard was built from a checkout that is gone, so the dev server cannot be built; run it in a checkout, or install the temporal CLI", errNoTemporal)
	}
	return "", version, nil
}

// devServerFolder looks for devserver/ in the checkout that this program was
// built from, and in the one that it runs in.
func devServerFolder() string {
	starts := []string{}
	if _, file, _, ok := runtime.Caller(0); ok {
		starts = append(starts, filepath.Dir(file))
	}
	if here, err := os.Getwd(); err == nil {
		starts = append(starts, here)
	}
	for _, start := range starts {
		for folder := start; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
			mod, err := os.ReadFile(filepath.Join(folder, "devserver", "go.mod"))
			if err == nil && bytes.HasPrefix(mod, []byte("module "+devServerModule+"\n")) {
				return filepath.Join(folder, "devserver")
			}
		}
	}
	return ""
}

// fingerprint names a version of the source and of the toolchain.
func fingerprint(folder string) (string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version())
	for _, file := range files {
		name := filepath.Base(file)
		if strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "go.") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, name, len(data))
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func (d devServer) build(ctx context.Context, source, path string) error {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("%w: none answers, there is no `temporal` on PATH, and no `go` to build the dev server with; install either, or set TEMPORAL_ADDRESS", errNoTemporal)
	}
	fmt.Fprintln(d.progress, "building the Temporal dev server, about 6 minutes, once")
	stop := d.tick(time.Now())
	defer stop()

	work, err := os.MkdirTemp(d.cache, "build-")
	if err != nil {
		return fmt.Errorf("cache folder: %w", err)
	}
	defer os.RemoveAll(work)
	built := filepath.Join(work, "devserver"+filepath.Ext(path))
	// -s and -w leave out what only a debugger reads: a third of the file.
	cmd := exec.CommandContext(ctx, compiler, "build", "-ldflags=-s -w", "-o", built, ".")
	cmd.Dir = source
	if source == "" {
		cmd = exec.CommandContext(ctx, compiler, "install", "-ldflags=-s -w", devServerModule+"@"+command.Version())
		cmd.Env = append(os.Environ(), "GOBIN="+work)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("build the Temporal dev server: %w\n%s", err, bytes.TrimSpace(said.Bytes()))
	}
	if err := os.Rename(built, path); err != nil {
		return fmt.Errorf("keep the dev server: %w", err)
	}
	return nil
}

// tick says from time to time that the build is still going on.
func (d devServer) tick(started time.Time) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(30 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fmt.Fprintf(d.progress, "  still building, %s so far\n", time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}
