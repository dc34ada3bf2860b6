package conformance

import (
	"encoding/json"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// process is a program under test, with everything that it prints.
type process struct {
	*harness.Process
	command string
	output  *harness.Output
}

// start runs a program with just these variables. Whoever starts it stops it.
func start(t require.TestingT, vars []string, program string, args ...string) *process {
	p := &process{command: program, output: &harness.Output{}}
	var err error
	p.Process, err = harness.Start(harness.Command{Program: program, Args: args, Vars: vars, Out: p.output})
	require.NoError(t, err)
	return p
}

// logged returns the first line of the process's log with the message, or nil.
func (p *process) logged(message string) map[string]any {
	for text := range strings.Lines(p.output.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			return line
		}
	}
	return nil
}
