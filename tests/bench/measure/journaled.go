package measure

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/tests/harness"
)

// Journaled says what is measured of the journal.
type Journaled struct {
	// Database is the URL of a PostgreSQL, in which databases are created.
	Database string
	// Events in a round, for each contestant.
	Events int
	// Rounds to take the median of.
	Rounds int
	// Concurrency are the deliveries at once.
	Concurrency []int
}

// journalBody is the size of a body, in bytes.
const journalBody = 1 << 10

// barelyAtOnce is how many bare starts are under way at once, beside the
// handwritten handler.
const barelyAtOnce = 16

// journaledConfig is an edge whose source has a journal.
const journaledConfig = `listen: %s
admin: 127.0.0.1:0
temporal: {task_queue: %s}
store: {%s}
sources: {%s: {provider: stripe, secrets: [file:secret], journal: true}}
`

// journaledKind is one contestant.
type journaledKind struct {
	name     string
	postgres bool // journal in PostgreSQL, not in a SQLite file
	drains   bool // Temporal is there
	start    func(ctx context.Context, s *session, k journaledKind, run string) (*contestant, error)
	beside   bool // bare starts go on beside it
}

// The names of what is compared.
const (
	handwritten       = "verify, insert into PostgreSQL"
	handwrittenBeside = "the same, beside bare starts"
)

func journaledKinds() []journaledKind {
	return []journaledKind{
		{name: handwritten, start: startHandwritten},
		{name: "journal in SQLite", start: startJournaled},
		{name: "journal in PostgreSQL", postgres: true, start: startJournaled},
		{name: handwrittenBeside, start: startHandwritten, beside: true},
		{name: "journal in SQLite, and its drain", drains: true, start: startJournaled},
		{name: "journal in PostgreSQL, and its drain", drains: true, postgres: true, start: startJournaled},
	}
}

// journaledRound is what one contestant did in one round.
type journaledRound struct {
	load
	cpu    float64 // µs of the contestant's, for one delivery
	starts float64 // a second, while deliveries came
}

// journaled compares acknowledgements from the journal with those of a handler
// that is written by hand, with and without starts beside them.
func (s *session) journaled(ctx context.Context) ([]JournaledFigures, error) {
	var figures []JournaledFigures
	for _, senders := range s.Journaled.Concurrency {
		rounds := make([]map[string]journaledRound, s.Journaled.Rounds)
		for round := range rounds {
			rounds[round] = map[string]journaledRound{}
			for i, k := range rotated(journaledKinds(), round) {
				r, err := s.journaledRound(ctx, k, senders, fmt.Sprintf("j%dr%dn%d", senders, round, i))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", k.name, err)
				}
				rounds[round][k.name] = r
				s.progress("%d at once, round %d of %d: %s: %.0f/s, p99 %.1f ms, %.0f µs; %.0f starts/s", senders, round+1, len(rounds),
					k.name, r.perSecond(), percentile(slices.Clone(r.latencies), 990), r.cpu, r.starts)
			}
		}
		for _, k := range journaledKinds() {
			figures = append(figures, summarizeJournaled(k, senders, rounds))
		}
	}
	return figures, nil
}

// journaledRound starts the contestant, sends to it, and ends it: what it has not
// started by then is not in the way of the next one.
func (s *session) journaledRound(ctx context.Context, k journaledKind, senders int, run string) (r journaledRound, err error) {
	defer s.stopAll()
	drop := func(context.Context) error { return nil }
	if k.postgres || !strings.HasPrefix(k.name, "journal") {
		if drop, err = s.createDatabase(ctx, run); err != nil {
			return r, err
		}
	}
	defer func() {
		s.stopAll()
		err = errors.Join(err, drop(context.WithoutCancel(ctx)))
	}()
	c, err := k.start(ctx, s, k, run)
	if err != nil {
		return r, err
	}
	for _, warm := range []bool{true, false} {
		name, n := run, s.Journaled.Events
		if warm {
			name, n = run+"warm", 10*warmUp
		}
		deliveries, err := s.factory.batch(name, n, journalBody)
		if err != nil {
			return r, err
		}
		stopStarts := func() float64 { return 0 }
		if k.beside && !warm {
			stopStarts = s.startBarely(ctx, run)
		}
		before, began := c.used(), time.Now()
		l, err := blast(ctx, senders, deliveries, c.send)
		after, ended := c.used(), time.Now()
		r = journaledRound{load: l, cpu: float64((after.cpu - before.cpu).Microseconds()) / float64(n), starts: stopStarts()}
		if err != nil {
			return r, err
		}
		if k.drains && !warm {
			c.close()
			s.stopAll()
			if r.starts, err = s.startedIn(ctx, c.id, began, ended); err != nil {
				return r, err
			}
		}
	}
	c.close()
	return r, nil
}

// startBarely starts Workflows, some at once, until the returned function is
// called. That returns how many a second were started.
func (s *session) startBarely(ctx context.Context, run string) (stop func() float64) {
	ctx, cancel := context.WithCancel(ctx)
	var n, next atomic.Int64
	var working sync.WaitGroup
	starter := bareStarter{s.temporal, s.taskQueue(idle), run}
	began := time.Now()
	for range barelyAtOnce {
		working.Go(func() {
			for ctx.Err() == nil {
				id := s.factory.prefix(run+"bare") + fmt.Sprint(next.Add(1))
				d := delivery{id: id, body: invoice(id, journalBody)}
				if starter.start(ctx, d.event(run), d.body) == nil {
					n.Add(1)
				}
			}
		})
	}
	return func() float64 {
		rate := ratio(float64(n.Load()), time.Since(began).Seconds())
		cancel()
		working.Wait()
		return rate
	}
}

// startedIn returns how many Workflows of a source were started a second in that
// time. Temporal's lists are a moment late, so it asks until the count stands still.
func (s *session) startedIn(ctx context.Context, source string, began, ended time.Time) (float64, error) {
	last := int64(-1)
	query := fmt.Sprintf("WorkflowId STARTS_WITH %q AND StartTime BETWEEN %q AND %q", source+":",
		began.UTC().Format(time.RFC3339Nano), ended.UTC().Format(time.RFC3339Nano))
	err := eventually(ctx, time.Minute, 500*time.Millisecond, "the count of started Workflows stands still", func(ctx context.Context) (bool, error) {
		counted, err := s.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: s.Client.Namespace, Query: query})
		if err != nil {
			return false, err
		}
		still := counted.GetCount() == last
		last = counted.GetCount()
		return still, nil
	})
	return ratio(float64(last), ended.Sub(began).Seconds()), err
}

func startHandwritten(ctx context.Context, s *session, _ journaledKind, run string) (*contestant, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.listening(ctx, run, address, s.Peer[0], slices.Concat(s.Peer[1:], []string{"--listen", address, "--verify-secret", s.path("secret"), "--handwritten"})...)
	if err != nil {
		return nil, err
	}
	return s.contestant(run, run, "http://"+address+"/", p).onWire(), nil
}

func startJournaled(ctx context.Context, s *session, k journaledKind, run string) (*contestant, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	store := "sqlite: " + run + ".db"
	if k.postgres {
		store = "postgres: env:" + DatabaseVar
	}
	file := s.path(run + ".yaml")
	text := fmt.Sprintf(journaledConfig, address, s.taskQueue(idle), store, run)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if !k.drains { // nobody listens there, so the drain waits
		nobody, err := harness.FreeAddress(ctx)
		if err != nil {
			return nil, err
		}
		restore := s.with("TEMPORAL_ADDRESS=" + nobody)
		defer restore()
	}
	p, err := s.listening(ctx, run, address, s.Program, "serve", "--config", file, "--only", "edge")
	if err != nil {
		return nil, err
	}
	return s.contestant(run, run, "http://"+address+"/webhooks/"+run, p).onWire(), nil
}

// DatabaseVar is the variable with the URL of the database that is created for a
// contestant: every user of the machine can read a command line.
const DatabaseVar = "BENCH_DATABASE"

// with gives the processes that are started from now on a variable, until the
// returned function is called.
func (s *session) with(variable string) (restore func()) {
	before := s.Vars
	s.Vars = append(slices.Clone(before), variable)
	return func() { s.Vars = before }
}

// createDatabase creates a database, and has the processes that are started from
// now on find it. drop drops it.
func (s *session) createDatabase(ctx context.Context, run string) (drop func(context.Context) error, err error) {
	at, err := url.Parse(s.Journaled.Database)
	if err != nil {
		return nil, errors.New("--database cannot be read; want postgres://user:password@host:5432/postgres")
	}
	name := "hookyard_bench_" + s.token + "_" + run
	if err := s.admin(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, err
	}
	at.Path = "/" + name
	restore := s.with(DatabaseVar + "=" + at.String())
	return func(ctx context.Context) error {
		restore()
		return s.admin(ctx, "drop database "+pgx.Identifier{name}.Sanitize()+" with (force)")
	}, nil
}

// admin runs one statement in the database of the URL.
func (s *session) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.Journaled.Database)
	if err != nil {
		return errors.New("PostgreSQL cannot be reached at the given URL; is it running, and does it take that user?")
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is lost
	_, err = conn.Exec(ctx, statement)
	return err
}

// summarizeJournaled takes the median of the rounds, and the ratios within each.
func summarizeJournaled(k journaledKind, senders int, rounds []map[string]journaledRound) JournaledFigures {
	each := func(figure func(mine, alone, beside journaledRound) float64) float64 {
		var values []float64
		for _, round := range rounds {
			values = append(values, figure(round[k.name], round[handwritten], round[handwrittenBeside]))
		}
		return median(values)
	}
	var latencies []time.Duration
	for _, round := range rounds {
		latencies = append(latencies, round[k.name].latencies...)
	}
	p99 := func(r journaledRound) float64 { return percentile(slices.Clone(r.latencies), 990) }
	f := JournaledFigures{
		Name: k.name, Concurrency: senders,
		PerSecond: each(func(r, _, _ journaledRound) float64 { return r.perSecond() }),
		P50:       percentile(latencies, 500),
		P99:       percentile(latencies, 990),
		CPU:       each(func(r, _, _ journaledRound) float64 { return r.cpu }),
		Starts:    each(func(r, _, _ journaledRound) float64 { return r.starts }),
		OfAlone:   each(func(r, alone, _ journaledRound) float64 { return ratio(r.perSecond(), alone.perSecond()) }),
		P99Of:     each(func(r, alone, _ journaledRound) float64 { return ratio(p99(r), p99(alone)) }),
	}
	if k.drains || k.beside {
		f.OfBeside = each(func(r, _, beside journaledRound) float64 { return ratio(r.perSecond(), beside.perSecond()) })
		f.P99Of = each(func(r, _, beside journaledRound) float64 { return ratio(p99(r), p99(beside)) })
		f.StartsOf = each(func(r, _, beside journaledRound) float64 { return ratio(r.starts, beside.starts) })
	}
	return f
}
