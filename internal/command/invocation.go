package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"go.temporal.io/sdk/temporal"
)

// Module is the path of Hookyard's own module.
const Module = "github.com/hookyard/hookyard"

// Invocation is how this program was started, as one would type it: "hooks", or
// "go run ./cmd/hooks" where `go run` has built it.
func Invocation() string { return invocation(os.Args[0]) }

// goCacheFolder is a folder of the build cache, where `go run` keeps a program.
var goCacheFolder = regexp.MustCompile(`^[0-9a-f]{64}-d$`)

func invocation(started string) string {
	if strings.Contains(started, string(filepath.Separator)+"go-build") || goCacheFolder.MatchString(filepath.Base(filepath.Dir(started))) {
		return "go run " + MainPackage()
	}
	return strings.TrimSuffix(filepath.Base(started), ".exe")
}

// MainPackage is the package of this program as one names it to the go command
// in the root of its module, such as "./cmd/hooks".
func MainPackage() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "."
	}
	below, inside := strings.CutPrefix(info.Path, info.Main.Path)
	if !inside || below == "" {
		return "."
	}
	return "." + below
}

// Version is the version of Hookyard that is built in: "v1.2.3", "(devel)" for
// one built in its own checkout or in place of a released one, or "unknown".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case !ok:
		return "unknown"
	case info.Main.Path == Module:
		return info.Main.Version
	default:
		return dependency(info, Module)
	}
}

// ProgramVersion is the module of this program and its version, as
// "example.com/hooks v1.0.0"; "" where the program is Hookyard's own.
func ProgramVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path == Module {
		return ""
	}
	return strings.TrimSpace(info.Main.Path + " " + info.Main.Version)
}

// VersionLine is what --version prints.
func VersionLine() string {
	program := ""
	if p := ProgramVersion(); p != "" {
		program = " in " + p
	}
	return fmt.Sprintf("hookyard %s%s (%s, Temporal SDK v%s)", Version(), program, runtime.Version(), temporal.SDKVersion)
}

func dependency(info *debug.BuildInfo, path string) string {
	for _, m := range info.Deps {
		switch {
		case m.Path != path:
		case m.Replace != nil && m.Replace.Version == "": // by a folder
			return "(devel)"
		case m.Replace != nil:
			return m.Replace.Version
		default:
			return m.Version
		}
	}
	return "unknown"
}
