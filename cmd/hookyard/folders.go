package main

import (
	"errors"
	"os"
	"path/filepath"
)

// folders are where a user's programs keep things.
type folders struct {
	state string // survives: the demo, the dev server's database
	cache string // can be made again: the dev server itself
}

// userFolders follows the XDG base directories, which have a state folder, and
// Go's choice for the cache.
func userFolders(env environment) (folders, error) {
	state, ok := env.LookupEnv("XDG_STATE_HOME")
	if !ok || !filepath.IsAbs(state) {
		home, _ := env.LookupEnv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return folders{}, errors.New("no home folder: set HOME, or XDG_STATE_HOME and XDG_CACHE_HOME")
			}
		}
		state = filepath.Join(home, ".local", "state")
	}
	cache, ok := env.LookupEnv("XDG_CACHE_HOME")
	if !ok || !filepath.IsAbs(cache) {
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			return folders{}, errors.New("no cache folder: set HOME or XDG_CACHE_HOME")
		}
	}
	return folders{state: filepath.Join(state, "hookyard"), cache: filepath.Join(cache, "hookyard")}, nil
}

func (f folders) demo() string { return filepath.Join(f.state, "demo") }

// handedOver is where secrets wait that providers have handed over; "" where
// there is no home.
func (f folders) handedOver() string {
	if f.state == "" {
		return ""
	}
	return filepath.Join(f.state, "handed-over")
}
