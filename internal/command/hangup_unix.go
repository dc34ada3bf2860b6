//go:build unix

package command

import (
	"os"
	"os/signal"
	"syscall"
)

// Hangups delivers SIGHUP, which asks for the config to be read again, until
// stop is called. Until then it does not end the process.
func Hangups() (asked <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1) // one that comes while another is dealt with is not lost
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
