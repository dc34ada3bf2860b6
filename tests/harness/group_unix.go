//go:build unix && !linux

package harness

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a Ctrl-C at the terminal from the program, which is stopped
// in its turn.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
