package trial

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/tests/harness"
)

const (
	taskQueue = "chaos"
	// attemptTimeout bounds an attempt of a step. Together with the policy
	// below it has a step parked after some seconds of trouble.
	attemptTimeout = 2 * time.Second
)

// configText is the config of one process. All of them keep their files in its
// folder.
var configText = template.Must(template.New("config").Parse(`listen: {{.Listen}}
admin: 127.0.0.1:0
temporal: {task_queue: ` + taskQueue + `}
store: {sqlite: "{{.Name}}/hookyard.db"}
sources:
  payments: {provider: stripe, secrets: [env:CHAOS_PAYMENTS], journal: {{.Journal}}, routes: [{type: invoice.paid}, {type: "*", ignore: true}]}
  builds: {provider: github, secrets: [env:CHAOS_BUILDS], journal: {{.Journal}}}
  forwards:
    journal: {{.Journal}}
    provider: standard-webhooks
    secrets: [env:CHAOS_FORWARDS]
    routes: [{type: "*", forward: {url: "http://{{.Downstream}}/hooks"}}]
retry: {default: {initial: 200ms, backoff: 2, attempts: 3, timeout: {{.Timeout}}}}
app: {ledger: {{.Ledger}}, mail: {folder: mail, from: chaos@example.com}, build: {url: "http://{{.Downstream}}/builds"}}
`))

// system is all that is tested, and what it stands on.
type system struct {
	program string
	folder  string
	secrets map[string]string // by source
	journal bool              // each source has one

	network    *network
	temporal   *harness.Temporal
	client     client.Client // past the network: what it asks is no part of the test
	downstream *downstream
	ledger     ledger
	edges      []string // where the sender reaches them
	processes  map[string]*harness.Supervised
	targets    map[string]target

	stops []func(ctx context.Context) error // in the order of the starts
}

// startSystem starts everything and waits until it works. The caller calls
// stop, after an error too.
func startSystem(ctx context.Context, o Options, p Plan) (*system, error) {
	s := &system{
		journal: p.Journal,
		program: o.Program, folder: o.Folder, secrets: map[string]string{},
		network: newNetwork(), processes: map[string]*harness.Supervised{}, targets: map[string]target{},
	}
	for _, source := range []string{payments, forwards, builds} {
		key := make([]byte, 24)
		_, _ = rand.Read(key) // never fails
		s.secrets[source] = "whsec_" + base64.StdEncoding.EncodeToString(key)
	}
	s.onStop(func(context.Context) error {
		s.network.close()
		return nil
	})
	for _, step := range []func(context.Context, Options) error{s.startTemporal, s.makeLedger} {
		if err := step(ctx, o); err != nil {
			return s, err
		}
	}
	var err error
	if s.downstream, err = startDownstream(ctx, p.Seed); err != nil {
		return s, err
	}
	s.onStop(func(context.Context) error {
		s.downstream.close()
		return nil
	})
	s.targets[downstreamName] = s.downstream
	if err := s.startProcesses(ctx); err != nil {
		return s, err
	}
	for name, p := range s.network.links {
		s.targets[name] = p
	}
	return s, s.awaitReady(ctx)
}

func (s *system) onStop(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

// stop ends everything, in the reverse order of the start.
func (s *system) stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var failed []error
	for _, stop := range slices.Backward(s.stops) {
		failed = append(failed, stop(ctx))
	}
	return errors.Join(failed...)
}

// logFile returns where a process prints. It is no *os.File, so that it is
// this process that writes: a full disk is to hit the other's ledger and not
// its log.
func (s *system) logFile(name string) (io.Writer, error) {
	f, err := os.OpenFile(filepath.Join(s.folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) error { return f.Close() })
	return struct{ io.Writer }{f}, nil
}

func (s *system) startTemporal(ctx context.Context, o Options) error {
	out, err := s.logFile(temporalName)
	if err != nil {
		return err
	}
	if o.Postgres != nil {
		p := *o.Postgres
		p.Out = out
		p.Through = func(address string) (string, error) {
			return s.network.connect(ctx, link(temporalName, databaseName), address)
		}
		s.temporal, err = p.NewServer(ctx, s.folder)
	} else {
		s.temporal, err = harness.DevServer{Program: o.DevServer, File: filepath.Join(s.folder, "temporal.db"), Out: out}.New(ctx)
	}
	if err != nil {
		return err
	}
	s.onStop(s.temporal.Drop)
	s.keep(temporalName, s.temporal.Supervised)
	if err := s.temporal.Start(); err != nil {
		return err
	}
	if err := s.temporal.Await(ctx); err != nil {
		return err
	}
	if _, err := s.run(ctx, "setup"); err != nil {
		return err
	}
	s.client, err = client.NewLazyClient(client.Options{HostPort: s.temporal.Address, Logger: harness.Quiet{}})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error {
		s.client.Close()
		return nil
	})
	return nil
}

// keep has a process stopped with the rest, and makes a victim of it.
func (s *system) keep(name string, p *harness.Supervised) {
	s.processes[name] = p
	s.targets[name] = victim{p}
	s.onStop(func(context.Context) error {
		p.Kill() // nothing is left to be done, and nothing is read any more
		return nil
	})
}

func (s *system) makeLedger(ctx context.Context, o Options) error {
	if o.Postgres == nil {
		s.ledger = &sqliteLedger{path: filepath.Join(s.folder, "ledger.db"), workers: s.workers}
	} else {
		l, err := newPostgresLedger(ctx, o.Postgres.URL)
		if err != nil {
			return err
		}
		s.onStop(l.drop)
		s.ledger = l
	}
	s.targets[ledgerName] = s.ledger
	return nil
}

// workers are the process ids of the workers that run now.
func (s *system) workers() []int {
	var ids []int
	for i := range workers {
		if id := s.processes[workerName(i)].PID(); id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *system) startProcesses(ctx context.Context) error {
	for i := range workers {
		if err := s.startProcess(ctx, workerName(i), "worker"); err != nil {
			return err
		}
	}
	for i := range edges {
		if err := s.startProcess(ctx, edgeName(i), "edge"); err != nil {
			return err
		}
	}
	return nil
}

// startProcess starts an edge or a worker, with a proxy on each of its ways.
func (s *system) startProcess(ctx context.Context, name, only string) error {
	listen, err := harness.FreeAddress(ctx)
	if err != nil {
		return err
	}
	temporal, err := s.network.connect(ctx, link(name, temporalName), s.temporal.Address)
	if err != nil {
		return err
	}
	vars := append(s.vars(temporal), s.sourceVars()...)
	downstream := s.downstream.address
	if only == "worker" {
		if downstream, err = s.network.connect(ctx, link(name, downstreamName), downstream); err != nil {
			return err
		}
		dsn, err := s.ledgerVar(ctx, name)
		if err != nil {
			return err
		}
		vars = append(vars, dsn...)
	} else {
		vars = append(vars, ledgerDSN+"=postgres://nobody@"+harness.Host+"/none") // named in the config, and not used
		to, err := s.network.connect(ctx, link(senderName, name), listen)
		if err != nil {
			return err
		}
		s.edges = append(s.edges, "http://"+to)
	}
	config, err := s.writeConfig(name, listen, downstream)
	if err != nil {
		return err
	}
	out, err := s.logFile(name)
	if err != nil {
		return err
	}
	p := harness.Supervise(harness.Command{
		Program: s.program, Args: []string{"serve", "--config", config, "--only", only, "--drain", "5s"}, Vars: vars, Out: out,
	})
	s.keep(name, p)
	return p.Start()
}

// ledgerVar is the DSN of a ledger on PostgreSQL, through a proxy.
func (s *system) ledgerVar(ctx context.Context, worker string) ([]string, error) {
	l, ok := s.ledger.(*postgresLedger)
	if !ok {
		return nil, nil
	}
	direct, err := url.Parse(l.url)
	if err != nil {
		return nil, errors.New("the URL of PostgreSQL cannot be read")
	}
	address, err := s.network.connect(ctx, link(worker, databaseName), direct.Host)
	if err != nil {
		return nil, err
	}
	dsn, err := l.dsn(address)
	return []string{ledgerDSN + "=" + dsn}, err
}

func (s *system) writeConfig(name, listen, downstream string) (string, error) {
	var text bytes.Buffer
	err := configText.Execute(&text, struct {
		Name, Listen, Downstream, Timeout, Ledger string
		Journal                                   bool
	}{name, listen, downstream, attemptTimeout.String(), s.ledger.setting(), s.journal})
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.folder, name+".yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// vars are the variables of a hookyard that reaches Temporal at an address.
// It finds no other profile, and writes nothing outside of the folder.
func (s *system) vars(temporal string) []string {
	return []string{
		"HOME=" + s.folder, "XDG_STATE_HOME=" + s.folder, "XDG_CONFIG_HOME=" + s.folder,
		"TEMPORAL_ADDRESS=" + temporal, "TEMPORAL_NAMESPACE=default",
	}
}

func (s *system) sourceVars() []string {
	var vars []string
	for source, secret := range s.secrets {
		vars = append(vars, "CHAOS_"+strings.ToUpper(source)+"="+secret)
	}
	return vars
}

// run runs a hookyard command that ends, past the network, and returns what it
// printed on standard output.
func (s *system) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, args...) //nolint:gosec // the caller's own program
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, s.vars(s.temporal.Address)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("hookyard %s: %w\n%s%s", strings.Join(args, " "), err, &out, &said)
	}
	return out.Bytes(), nil
}

// awaitReady waits until the edges listen and the workers poll.
func (s *system) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !s.ready(ctx) {
		for name, p := range s.processes {
			if ended := p.Ended(); len(ended) > 0 {
				return fmt.Errorf("%s does not run; its log is in %s: %w", name, s.folder, ended[0])
			}
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("the edges and workers do not get ready; their logs are in %s: %w", s.folder, ctx.Err())
		}
	}
	return nil
}

func (s *system) ready(ctx context.Context) bool {
	for _, edge := range s.edges {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", strings.TrimPrefix(edge, "http://"))
		if err != nil {
			return false
		}
		conn.Close()
	}
	described, err := s.client.DescribeTaskQueue(ctx, taskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return false
	}
	polling := map[string]bool{}
	for _, p := range described.GetPollers() {
		polling[p.GetIdentity()] = true
	}
	return len(polling) >= workers
}
