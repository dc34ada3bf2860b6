package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long nothing must change before a build: an editor, or git,
// writes several files in a row.
const settle = 200 * time.Millisecond

// changes are the changes to the files that a program is made of.
type changes struct {
	notify *fsnotify.Watcher
	module string // the folder below which all are watched
	config string // a config elsewhere, "" for none
	// embedded are the folders of the files that the program embeds.
	embedded map[string]bool
	seen     map[string]bool // files changed since next has returned some
}

// watchFiles watches the module's folder with all that is below it, and the
// config.
func watchFiles(module, config string) (*changes, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	c := &changes{notify: notify, module: module, seen: map[string]bool{}}
	if config != "" {
		if c.config, err = filepath.Abs(config); err == nil {
			err = notify.Add(filepath.Dir(c.config)) // the folder: editors replace files
		}
	}
	if err == nil {
		_, err = c.add(module)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("watch files: %w; on Linux, sysctl fs.inotify.max_user_watches is the limit", err)
	}
	return c, nil
}

func (c *changes) close() { _ = c.notify.Close() }

// add watches a folder with all that is below it, and returns the files there
// that count.
func (c *changes) add(folder string) (files []string, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed in the meantime
		case err != nil:
			return err
		case !entry.IsDir():
			if c.counts(path) {
				files = append(files, path)
			}
			return nil
		case path != c.module && skipped(entry.Name()):
			return fs.SkipDir
		}
		return c.notify.Add(path)
	})
	return files, err
}

// skipped reports a folder in which no source is, by the go command's rules.
func skipped(folder string) bool {
	return strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_") || folder == "node_modules" || folder == "testdata"
}

// counts reports a file whose change may change the program or its config: Go
// files other than tests, the module's files, what is embedded, and YAML, which
// provider files and configs are.
func (c *changes) counts(path string) bool {
	name := filepath.Base(path)
	switch {
	case path == c.config:
		return true
	case !strings.HasPrefix(path, c.module+string(filepath.Separator)), strings.HasPrefix(name, "."):
		return false
	case c.embedded[filepath.Dir(path)], name == "go.mod", name == "go.sum", name == "go.work":
		return true
	}
	return filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") || isYAML(name)
}

// next waits for changes, until they have settled, and names the files. It
// returns nil once exited is closed, and an error when ctx ends.
func (c *changes) next(ctx context.Context, exited <-chan struct{}) ([]string, error) {
	var settled <-chan time.Time
	if len(c.seen) > 0 {
		settled = time.After(settle)
	}
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-exited:
			return nil, nil
		case <-settled:
			files := slices.Sorted(maps.Keys(c.seen))
			clear(c.seen)
			return files, nil
		case err := <-c.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			c.seen["many files"] = true
			settled = time.After(settle)
		case event := <-c.notify.Events:
			for _, file := range c.changed(event) {
				c.seen[c.relative(file)] = true
				settled = time.After(settle)
			}
		}
	}
}

// changed returns the files that an event is about. A folder that is new is
// watched from now on.
func (c *changes) changed(event fsnotify.Event) []string {
	if info, err := os.Stat(event.Name); err == nil && info.IsDir() && event.Has(fsnotify.Create) && !skipped(info.Name()) {
		files, _ := c.add(event.Name) // what cannot be watched is seen at the next start
		return files
	}
	if event.Op == fsnotify.Chmod || !c.counts(event.Name) {
		return nil
	}
	return []string{event.Name}
}

func (c *changes) relative(file string) string {
	if short, ok := strings.CutPrefix(file, c.module+string(filepath.Separator)); ok {
		return short
	}
	return file
}
