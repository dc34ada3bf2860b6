package dev

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: a console's Ctrl-C reaches every process in it.
func ownGroup(*exec.Cmd) {}

// interrupt ends the process: Windows has no signal to ask with.
func interrupt(p *os.Process) error { return p.Kill() }
