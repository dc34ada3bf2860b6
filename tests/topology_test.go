package tests

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // to look into the ledger
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// topology is what docker-compose.yml describes, run as processes: the same
// programs, commands and environment, with only the names of places replaced by
// those on this machine. Several of them are on one machine, so they have ports
// of their own.
type topology struct {
	t         *testing.T
	compose   compose
	programs  string // the folder of Temporal's programs
	dir       string
	postgres  *url.URL
	database  string            // what names of databases start with
	here      map[string]string // values of variables that name places
	frontend  string
	ports     []string                          // of Temporal's listeners, as variables
	orders    *atomic.Pointer[http.HandlerFunc] // the service that orders are forwarded to
	ordersURL string
	mails     *peers.MailServer
	edges     []*node
	workers   []*node
}

// node is an edge or a worker.
type node struct {
	*harness.TestProcess
	listen, admin, config string
}

const topologyNamespace = "hookyard" // as in docker-compose.yml

// TestTopology takes 200 webhooks through two edges and two workers, on
// Temporal's own server and PostgreSQL, and has a Prometheus watch it.
func TestTopology(t *testing.T) {
	t.Parallel()
	x := newTopology(t)
	x.startTemporal()
	x.startOrders()
	x.edges = x.startNodes("edge")
	stuck := x.startStuckRun()
	x.workers = x.startNodes("worker")
	prometheus := x.startPrometheus()

	parked := x.park()
	x.deliverAll()
	x.awaitAll()
	x.reload()
	x.askEverything(prometheus, false)

	x.decide(parked)
	x.terminate(stuck)
	x.awaitNothingOpen()
	x.askEverything(prometheus, true)
	for _, n := range slices.Concat(x.edges, x.workers) {
		require.NoError(t, n.Stop(syscall.SIGTERM))
	}
}

func newTopology(t *testing.T) *topology {
	given := harness.PostgresURL(t)
	debian(t, "prometheus", "prometheus")
	x := &topology{t: t, compose: readCompose(t), dir: t.TempDir(), programs: t.TempDir(), orders: &atomic.Pointer[http.HandlerFunc]{}}
	var err error
	x.postgres, err = url.Parse(given)
	require.NoError(t, err)
	for name, tool := range map[string]string{
		"temporal-server": harness.TemporalServer, "temporal-sql-tool": harness.TemporalSQLTool, "ui-server": harness.TemporalUI,
	} {
		program, err := harness.Tool(t.Context(), "devserver", tool)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(program, filepath.Join(x.programs, name)))
	}
	x.ports, x.frontend, err = harness.ServicePorts(t.Context())
	require.NoError(t, err)
	x.database = "topology_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	x.writeSecrets()
	password := filepath.Join(x.dir, "postgres_password")
	dynamic, err := filepath.Abs("../deploy/temporal/dynamicconfig.yaml")
	require.NoError(t, err)
	x.here = map[string]string{
		"POSTGRES_SEEDS": x.postgres.Hostname(), "DB_PORT": x.postgres.Port(), "POSTGRES_USER": x.postgres.User.Username(),
		"DBNAME": x.database, "VISIBILITY_DBNAME": x.database + "_visibility", "POSTGRES_PASSWORD_FILE": password,
		"BIND_ON_IP": "127.0.0.1", "PROMETHEUS_ENDPOINT": harness.TestAddress(t), "DYNAMIC_CONFIG_FILE_PATH": dynamic,
		"TEMPORAL_ADDRESS": x.frontend,
	}
	return x
}

// writeSecrets makes the files that the config names, and the database of the
// ledger.
func (x *topology) writeSecrets() {
	smtp := harness.TestAddress(x.t)
	x.mails = peers.NewMailServerAt(x.t, smtp, nil)
	ledger := *x.postgres
	ledger.Path = "/" + x.database + "_ledger"
	password, _ := x.postgres.User.Password()
	for name, value := range map[string]string{
		"postgres_password": password, "ledger_url": ledger.String(), "smtp_url": "smtp://" + smtp + "?tls=none", "stripe": secret, "orders": secret,
	} {
		require.NoError(x.t, os.WriteFile(filepath.Join(x.dir, name), []byte(value), 0o600))
	}
	x.admin("create database " + x.database + "_ledger")
	x.t.Cleanup(func() {
		for _, suffix := range []string{"", "_visibility", "_ledger"} {
			x.admin("drop database if exists " + x.database + suffix + " with (force)")
		}
	})
}

// admin runs a statement of PostgreSQL.
func (x *topology) admin(statement string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.t.Context()), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, x.postgres.String())
	require.NoError(x.t, err)
	defer func() { require.NoError(x.t, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	require.NoError(x.t, err)
}

// vars returns the environment of a service, with the places of this machine.
func (x *topology) vars(service string) []string {
	var all []string
	for name, value := range x.compose.Services[service].Environment {
		if here, ok := x.here[name]; ok {
			value = here
		}
		all = append(all, name+"="+value)
	}
	require.NotEmpty(x.t, all, service)
	return all
}

// startTemporal does as the services temporal-schema, temporal, temporal-ui and
// setup do, in their order.
func (x *topology) startTemporal() {
	path := "PATH=" + x.programs + string(filepath.ListSeparator) + os.Getenv("PATH")
	for range 2 { // each `docker compose up` does it again
		x.completes("temporal-schema", append(x.vars("temporal-schema"), path), "/bin/sh", "../deploy/temporal/schema.sh")
	}
	vars := x.vars("temporal")
	password, err := os.ReadFile(filepath.Join(x.dir, "postgres_password"))
	require.NoError(x.t, err)
	vars = append(append(vars, "POSTGRES_PWD="+string(password)), x.ports...)
	harness.Run(x.t, vars, filepath.Join(x.programs, "temporal-server"), "start")
	harness.Eventually(x.t, "Temporal answers", func() bool {
		c, err := client.DialContext(x.t.Context(), client.Options{HostPort: x.frontend, Logger: harness.Quiet{}})
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	x.completes("setup", x.vars("setup"), programs.Hookyard, x.compose.Services["setup"].Command...)

	address := harness.TestAddress(x.t)
	harness.Run(x.t, append(x.vars("temporal-ui"), "TEMPORAL_UI_PORT="+harness.Port(address)),
		filepath.Join(x.programs, "ui-server"), "--root", x.moduleFolder("github.com/temporalio/ui-server/v2"), "--env", "docker", "start")
	harness.Eventually(x.t, "the Web UI is healthy", func() bool { return get(x.t, "http://"+address+"/healthz") == http.StatusOK })
}

// moduleFolder returns where Go keeps the source of a module of the dev server.
func (x *topology) moduleFolder(module string) string {
	cmd := exec.CommandContext(x.t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = "../devserver"
	folder, err := cmd.Output()
	require.NoError(x.t, err)
	return strings.TrimSpace(string(folder))
}

// completes runs a service that ends.
func (x *topology) completes(service string, vars []string, program string, args ...string) {
	p := harness.Run(x.t, vars, program, args...)
	require.NoError(x.t, p.Wait(), "%s: %s", service, p.Output)
}

// startOrders runs the service that orders are forwarded to. It is broken at
// first.
func (x *topology) startOrders() {
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	x.orders.Store(&broken)
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*x.orders.Load())(w, r) }))
	x.t.Cleanup(orders.Close)
	x.ordersURL = orders.URL
}

// startNodes starts the replicas of a service, and waits until they are healthy.
func (x *topology) startNodes(service string) []*node {
	replicas := x.compose.Services[service].Deploy.Replicas
	require.Equal(x.t, 2, replicas, service)
	var nodes []*node
	for i := range replicas {
		nodes = append(nodes, x.startNode(service, i))
	}
	return nodes
}

func (x *topology) startNode(service string, number int) *node {
	n := &node{listen: harness.TestAddress(x.t), admin: harness.TestAddress(x.t), config: filepath.Join(x.dir, fmt.Sprintf("%s%d.yaml", service, number))}
	text := strings.NewReplacer("/run/secrets/", x.dir+"/", "0.0.0.0:8080", n.listen, "0.0.0.0:8081", n.admin,
		"https://orders.example.com/hooks", x.ordersURL).Replace(string(readFile(x.t, "deploy/config/hookyard.yaml")))
	require.NoError(x.t, os.WriteFile(n.config, []byte(text), 0o600))
	c := x.compose.Services[service]
	n.TestProcess = harness.Run(x.t, x.vars(service), programs.Hookyard, append(slices.Clone(c.Command), "--config", n.config)...)
	probe := append(slices.Clone(c.Healthcheck.Test[2:]), "--admin", n.admin)
	harness.Eventually(x.t, service+" is healthy", func() bool {
		p := harness.Run(x.t, nil, programs.Hookyard, probe...)
		return p.Wait() == nil
	})
	return n
}

// client returns an SDK client for the namespace.
func (x *topology) client() client.Client {
	return harness.Dial(x.t, client.Options{HostPort: x.frontend, Namespace: topologyNamespace})
}

// startStuckRun leaves an open run behind that a worker with other code has
// begun, as a careless deploy does. It returns its Workflow Id.
func (x *topology) startStuckRun() string {
	const id = "stripe:evt_stuck"
	c := x.client()
	w := worker.New(c, "hookyard", worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, _, _ converter.RawValue) error {
		return workflow.Sleep(ctx, 10*time.Second)
	}, workflow.RegisterOptions{Name: "stripe.invoice.paid"})
	require.NoError(x.t, w.Start())
	x.accept("stripe", "stripe", "evt_stuck", invoicePaid)
	harness.Eventually(x.t, "the timer is in the history", func() bool {
		described, err := c.DescribeWorkflowExecution(x.t.Context(), id, "")
		require.NoError(x.t, err)
		return described.GetWorkflowExecutionInfo().GetHistoryLength() >= 5
	})
	w.Stop()
	return id
}

func (x *topology) terminate(id string) {
	require.NoError(x.t, x.client().TerminateWorkflow(x.t.Context(), id, "", "the test is done with it"))
}

// accept delivers an event to the first edge.
func (x *topology) accept(source, providerName, id, body string) {
	s := &system{t: x.t, address: x.edges[0].listen}
	s.accept(source, providerName, id, "", body)
}

// deliver posts an event to an edge and returns what it is told.
func (x *topology) deliver(edge int, source, providerName, id, body string) (answer, error) {
	d := signed(x.t, providerName, id, "", body)
	s := &system{t: x.t, address: x.edges[edge].listen}
	return s.tryPost(x.t.Context(), source, d.Header, d.Body)
}

const orderCreated = `{"type":"order.created","timestamp":"2026-01-01T00:00:00Z","data":{"order":7}}`

// park has some runs park and returns their Workflow Ids: three whose service is
// broken, and one whose payment the ledger refuses. It sends what is refused at
// the edge, too.
func (x *topology) park() []string {
	ids := []string{"orders:msg_p0", "orders:msg_p1", "orders:msg_p2", "stripe:evt_p"}
	for _, id := range ids {
		source, event, _ := strings.Cut(id, ":")
		providerName, body := "standard-webhooks", orderCreated
		if source == "stripe" {
			providerName, body = "stripe", strings.Replace(invoicePaid, `"currency":"eur"`, `"currency":""`, 1)
		}
		x.accept(source, providerName, event, body)
	}
	x.await("runs are parked", `HookState="parked"`, int64(len(ids)))
	// One attempt more: the first one of a step does not wait for a worker, as
	// the one that ran the Workflow takes it.
	var asked atomic.Int32
	works := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	x.orders.Store(&works)

	s := &system{t: x.t, address: x.edges[0].listen}
	require.Equal(x.t, http.StatusUnauthorized, s.post(x.t.Context(), "stripe", http.Header{}, []byte(invoicePaid)).code)
	require.Equal(x.t, http.StatusNotFound, s.post(x.t.Context(), "nobody", http.Header{}, []byte(invoicePaid)).code)
	return ids
}

// half is how many webhooks each source sends.
const half = 100

// deliverAll sends the events of each source, in turns to each edge, and one in
// ten a second time to the other edge.
func (x *topology) deliverAll() {
	var senders sync.WaitGroup
	next := make(chan int)
	for range 8 {
		senders.Go(func() {
			for n := range next {
				source, providerName, id, body := "stripe", "stripe", fmt.Sprintf("evt_%d", n), invoicePaid
				if n%2 == 1 {
					source, providerName, id, body = "orders", "standard-webhooks", fmt.Sprintf("msg_%d", n), orderCreated
				}
				edge := n / 2 % 2
				x.acknowledged(edge, source, providerName, id, body)
				if n%10 == 0 {
					if told := x.acknowledged(1-edge, source, providerName, id, body); told != "duplicate" {
						x.t.Errorf("%s:%s, sent again: %s", source, id, told)
					}
				}
			}
		})
	}
	for n := range 2 * half {
		next <- n
	}
	close(next)
	senders.Wait()
	require.False(x.t, x.t.Failed(), "not all of them are stored")
}

// acknowledged delivers an event as providers do, again and again while it is
// told 503 or nothing, and returns what it is told in the end.
func (x *topology) acknowledged(edge int, source, providerName, id, body string) string {
	var a answer
	var err error
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); <-again.C {
		if a, err = x.deliver(edge, source, providerName, id, body); err == nil && a.code != http.StatusServiceUnavailable {
			break
		}
	}
	if err != nil || a.code != http.StatusOK {
		x.t.Errorf("%s:%s: %d %s, %v", source, id, a.code, a.status, err)
	}
	return a.status
}

// awaitAll waits until all are worked off, and looks at what was done.
func (x *topology) awaitAll() {
	x.await("the runs complete", `ExecutionStatus="Completed" AND HookSource IS NOT NULL`, 2*half)
	db, err := sql.Open("pgx", string(x.secretFile("ledger_url")))
	require.NoError(x.t, err)
	defer db.Close()
	require.Len(x.t, eventIDs(x.t, db), half, "each payment once")
	require.Len(x.t, x.mails.Mails(), half)
}

func (x *topology) secretFile(name string) []byte {
	text, err := os.ReadFile(filepath.Join(x.dir, name))
	require.NoError(x.t, err)
	return text
}

// await waits until so many runs fit a query.
func (x *topology) await(what, query string, want int64) {
	x.t.Helper()
	c := x.client()
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		counted, err := c.CountWorkflow(x.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		require.NoError(x.t, err)
		if counted.GetCount() == want {
			return
		}
		select {
		case <-deadline:
			require.Fail(x.t, "not within 3 minutes: "+what, "%d of %d", counted.GetCount(), want)
		case <-tick.C:
		}
	}
}

func (x *topology) awaitNothingOpen() {
	x.await("nothing is open", `ExecutionStatus="Running" AND HookSource IS NOT NULL`, 0)
}

// reload has an edge take a good config and then refuse a bad one.
func (x *topology) reload() {
	edge := x.edges[0]
	for _, good := range []bool{true, false} {
		if !good {
			require.NoError(x.t, os.WriteFile(edge.config, []byte("sources: nonsense\n"), 0o600))
		}
		require.NoError(x.t, edge.Signal(syscall.SIGHUP))
		result := map[bool]string{true: "ok", false: "refused"}[good]
		harness.Eventually(x.t, "the reload is "+result, func() bool {
			return sample(x.t, scrape(x.t, edge.admin), "hookyard_config_reloads_total", `result="`+result+`"`) == "1"
		})
	}
}

// decide has people decide about the parked runs, in each way that is counted.
func (x *topology) decide(parked []string) {
	run := func(args ...string) {
		x.completes(args[0], append(x.vars("edge"), "HOME="+x.dir), programs.Hookyard, args...)
	}
	run("resume", parked[0], "--by", "ada")
	run("resume", parked[1], "--by", "ada")
	run("discard", parked[2], "--by", "ada", "--why", "a test")
	run("resolve", parked[3], "--by", "ada", "--why", "a test", "--result", "null")
}

// startPrometheus runs a Prometheus with the config that is shipped, but for
// where the edges and workers are. It returns its URL.
func (x *topology) startPrometheus() string {
	var config map[string]any
	require.NoError(x.t, yaml.Load(readFile(x.t, prometheusFolder+"/prometheus.yml"), &config))
	config["global"] = map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"}
	rules, err := filepath.Abs("../" + prometheusFolder + "/hookyard.rules.yml")
	require.NoError(x.t, err)
	config["rule_files"] = []string{rules}
	nodes := map[string][]*node{"hookyard-edge": x.edges, "hookyard-worker": x.workers}
	for _, job := range as[[]any](x.t, config["scrape_configs"]) {
		job := as[map[string]any](x.t, job)
		delete(job, "dns_sd_configs")
		var targets []string
		for _, n := range nodes[job["job_name"].(string)] {
			targets = append(targets, n.admin)
		}
		require.Len(x.t, targets, 2, job["job_name"])
		job["static_configs"] = []any{map[string]any{"targets": targets}}
		delete(nodes, job["job_name"].(string))
	}
	require.Empty(x.t, slices.Collect(maps.Keys(nodes)), "nobody scrapes them")
	text, err := yaml.Dump(config)
	require.NoError(x.t, err)
	file := filepath.Join(x.dir, "prometheus.yml")
	require.NoError(x.t, os.WriteFile(file, text, 0o600))

	address := harness.TestAddress(x.t)
	harness.Run(x.t, nil, debian(x.t, "prometheus", "prometheus"),
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(x.dir, "prometheus"), "--web.listen-address="+address)
	harness.Eventually(x.t, "Prometheus is ready", func() bool { return get(x.t, "http://"+address+"/-/ready") == http.StatusOK })
	return "http://" + address
}

// query asks Prometheus and returns how many series there are.
func (x *topology) query(prometheus, expression string) int {
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	getJSON(x.t, prometheus+"/api/v1/query?query="+url.QueryEscape(expression), &answer)
	require.Equal(x.t, "success", answer.Status, "%s: %s", expression, answer.Error)
	return len(answer.Data.Result)
}

// askEverything sees that each expression of the dashboard and the rules can be
// asked, and that Prometheus has each metric in them: those about decisions only
// once some have been made, and those of the sending side, which deploy/ has not,
// in TestSend.
func (x *topology) askEverything(prometheus string, decided bool) {
	decisions := []string{"hookyard_steps_resumed_total", "hookyard_steps_resolved_total", "hookyard_runs_discarded_total"}
	all := expressions(x.t)
	for _, e := range all {
		x.query(prometheus, e)
	}
	for _, name := range metricNames(all) {
		if strings.HasPrefix(name, "hookyard_journal_") || strings.HasPrefix(name, "hookyard_reconcile_") { // none of its sources has either; TestJournal and TestReconcile see to those
			continue
		}
		if (decided || !slices.Contains(decisions, name)) && !strings.HasPrefix(name, "hookyard_send_") {
			harness.Eventually(x.t, "Prometheus has "+name, func() bool { return x.query(prometheus, "last_over_time("+name+"[1h])") > 0 })
		}
	}
}
