// Package measure measures Hookyard beside its ceilings: the same Temporal
// called with nothing in between, and an HTTP server that verifies and does
// nothing else.
//
// Everything that is compared runs in one session and takes turns, round by
// round and each round in another order, so that whatever else the machine
// does hits all alike. A ratio is taken within a round; what is reported is
// the median of the rounds.
package measure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"
)

// Part is a group of measurements.
type Part string

// The parts.
const (
	Edge     Part = "edge"       // how fast deliveries are acknowledged, and at what cost
	Cost     Part = "cost"       // what the edge itself spends on a delivery
	EndToEnd Part = "end-to-end" // how fast events are worked off, and in how many writes
	Memory   Part = "memory"     // what the edge holds besides large bodies
)

// Parts lists them in the order in which they run.
func Parts() []Part { return []Part{Edge, Cost, EndToEnd, Memory} }

// Options are what a session needs.
type Options struct {
	// Program is the hookyard that is measured.
	Program string
	// Peer is the program that runs what Hookyard is compared with, with its
	// first arguments: see Peer.
	Peer []string
	// Vars is the environment of the processes. It leads them to Temporal.
	Vars []string
	// Client leads to the same Temporal.
	Client client.Options
	// MetricsURL is the Temporal server's Prometheus endpoint. Without it the
	// writes are not counted.
	MetricsURL string
	// Folder takes configs, logs and ledgers. The caller removes it.
	Folder string
	// Terminate has the Workflows that are still open terminated at the end. A
	// server that is thrown away does not need it.
	Terminate bool

	Parts       []Part
	Events      int   // in a round, for each thing measured
	Rounds      int   // the more, the less the noise
	Concurrency []int // deliveries at once
	Soak        int   // events of a soak, which replaces the parts; 0 for none
	// Overload replaces the parts; nil for none.
	Overload *Overload
	// Journaled replaces the parts; nil for none.
	Journaled *Journaled
	// Progress takes a line now and then.
	Progress io.Writer
}

// session is one run of the benchmark.
type session struct {
	Options
	token    string // in every name that this session gives away
	secret   string
	temporal client.Client
	factory  *factory
	stop     []func() // the processes, first started first
}

// Run measures and returns what was found. It ends every process that it
// started, whatever happens.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	s := &session{Options: o, token: strings.ToLower(rand.Text()[:8]), secret: "whsec_" + rand.Text()}
	if s.temporal, err = client.DialContext(ctx, o.Client); err != nil {
		return nil, fmt.Errorf("temporal at %s: %w", o.Client.HostPort, err)
	}
	defer s.temporal.Close()
	if s.factory, err = newFactory(s.token, s.secret); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.path("secret"), []byte(s.secret), 0o600); err != nil {
		return nil, err
	}
	if o.Terminate {
		defer func() { err = errors.Join(err, s.terminate(ctx)) }()
	}
	defer s.stopAll()

	report := &Report{
		Machine: Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()},
		Events:  o.Events, Rounds: o.Rounds,
	}
	if o.Soak > 0 {
		if report.Soak, err = s.soak(ctx); err != nil {
			return nil, err
		}
		return report, nil
	}
	if o.Overload != nil {
		if report.Overload, err = s.overload(ctx); err != nil {
			return nil, err
		}
		return report, nil
	}
	if o.Journaled != nil {
		if report.Journaled, err = s.journaled(ctx); err != nil {
			return nil, err
		}
		return report, nil
	}
	for _, part := range []struct {
		name    Part
		measure func() error
	}{
		{Edge, func() error { report.Edge, err = s.edge(ctx); return err }},
		{Cost, func() error { report.Cost, err = s.cost(ctx); return err }},
		{EndToEnd, func() error { report.EndToEnd, err = s.endToEnd(ctx); return err }},
		{Memory, func() error { report.Memory, err = s.memory(ctx); return err }},
	} {
		if !slices.Contains(o.Parts, part.name) {
			continue
		}
		if err := part.measure(); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		// What the next part measures, it measures alone.
		s.stopAll()
	}
	return report, nil
}

func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(s.Progress, format+"\n", args...)
}

// rotated returns the contestants in the order of a round: who goes first
// finds another machine than who goes last.
func rotated[T any](contestants []T, round int) []T {
	first := round % len(contestants)
	return slices.Concat(contestants[first:], contestants[:first])
}
