package main

import "os"

// hangups delivers nothing: Windows has no signal to ask with, so a changed
// config takes a restart there.
func hangups() (asked <-chan os.Signal, stop func()) { return nil, func() {} }
