package command

import "os"

// Hangups delivers nothing: Windows has no signal to ask with, so a changed
// config takes a restart there.
func Hangups() (asked <-chan os.Signal, stop func()) { return nil, func() {} }
