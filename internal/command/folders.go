package command

import (
	"errors"
	"os"
	"path/filepath"
)

// Folders are where a user's programs keep things.
type Folders struct {
	State string // survives: the demo, the dev server's database
	Cache string // can be made again: the dev server itself
}

// UserFolders follows the XDG base directories, which have a state folder, and
// Go's choice for the cache.
func UserFolders(env Env) (Folders, error) {
	state, ok := env.LookupEnv("XDG_STATE_HOME")
	if !ok || !filepath.IsAbs(state) {
		home, _ := env.LookupEnv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return Folders{}, errors.New("no home folder: set HOME, or XDG_STATE_HOME and XDG_CACHE_HOME")
			}
		}
		state = filepath.Join(home, ".local", "state")
	}
	cache, ok := env.LookupEnv("XDG_CACHE_HOME")
	if !ok || !filepath.IsAbs(cache) {
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			return Folders{}, errors.New("no cache folder: set HOME or XDG_CACHE_HOME")
		}
	}
	return Folders{State: filepath.Join(state, "hookyard"), Cache: filepath.Join(cache, "hookyard")}, nil
}

// Demo is where the demo keeps its config, its secrets and its files.
func (f Folders) Demo() string { return filepath.Join(f.State, "demo") }

// HandedOver is where secrets wait that providers have handed over; "" where
// there is no home.
func (f Folders) HandedOver() string {
	if f.State == "" {
		return ""
	}
	return filepath.Join(f.State, "handed-over")
}

// SendKey is where a source's key pair is kept.
func (f Folders) SendKey(source string) string { return filepath.Join(f.State, "keys", source) }
