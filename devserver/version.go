package main

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// version says which server and which Web UI were built in, as the build
// recorded them.
func version() string {
	own, server, ui := "unknown", "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			own = info.Main.Version
		}
		for _, dep := range info.Deps {
			switch dep.Path {
			case "go.temporal.io/server":
				server = strings.TrimPrefix(dep.Version, "v")
			case "github.com/temporalio/ui-server/v2":
				ui = strings.TrimPrefix(dep.Version, "v")
			}
		}
	}
	return fmt.Sprintf("devserver version %s (Server %s, UI %s)", own, server, ui)
}
