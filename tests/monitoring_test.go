package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/tests/harness"
)

const prometheusFolder = "deploy/prometheus"

// alertRule is one of deploy/prometheus/hookyard.rules.yml.
type alertRule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) []alertRule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alertRule } }
	require.NoError(t, yaml.Load(readFile(t, prometheusFolder+"/hookyard.rules.yml"), &file))
	var all []alertRule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// debian returns the path of a program that is in a package of Debian's. CI
// installs it; elsewhere a test that needs it is skipped without it.
func debian(t *testing.T, program, pack string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "there is no %s; .ci/run installs the package %s", program, pack)
		t.Skipf("there is no %s; it is in Debian's package %s", program, pack)
	}
	return path
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	p := harness.Run(t, nil, debian(t, "promtool", "prometheus"), args...)
	require.NoError(t, p.Wait(), "promtool %v: %s", args, p.Output)
}

// TestAlertRules has Prometheus's own tool check the rules, and see each of them
// fire.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", prometheusFolder)
	promtool(t, "check", "config", filepath.Join(folder, "prometheus.yml"))
	tests, err := filepath.Glob(filepath.Join(folder, "*.test.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, tests)
	promtool(t, append([]string{"test", "rules"}, tests...)...)
}

// TestEveryAlertFires sees that no rule is without a test in which it fires,
// and a runbook.
func TestEveryAlertFires(t *testing.T) {
	t.Parallel()
	type expected struct {
		Alertname string
		ExpAlerts []struct {
			Labels map[string]string `yaml:"exp_labels"`
		} `yaml:"exp_alerts"`
	}
	fired := map[string]bool{}
	for _, name := range []string{"hookyard", "silence"} {
		var file struct {
			Tests []struct {
				Rules []expected `yaml:"alert_rule_test"`
			}
		}
		require.NoError(t, yaml.Load(readFile(t, prometheusFolder+"/"+name+".test.yml"), &file))
		for _, test := range file.Tests {
			for _, e := range test.Rules {
				for _, alert := range e.ExpAlerts {
					fired[e.Alertname+" "+alert.Labels["waiting"]] = true
				}
			}
		}
	}
	headings := regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(readFile(t, "docs/operating.md")), -1)
	var anchors []string
	for _, h := range headings {
		anchors = append(anchors, strings.ToLower(strings.ReplaceAll(h[1], " ", "-")))
	}
	for _, rule := range readRules(t) {
		require.True(t, fired[rule.Alert+" "+rule.Labels["waiting"]], "%s has no test in which it fires", rule.Alert)
		require.Contains(t, []string{"page", "ticket"}, rule.Labels["severity"], rule.Alert)
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		page, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
		require.Equal(t, "https://github.com/hookyard/hookyard/blob/main/docs/operating.md", page, rule.Alert)
		require.Contains(t, anchors, anchor, "%s has no runbook", rule.Alert)
	}
}

// dashboard is what Grafana imports, as far as tests ask.
type dashboard struct {
	UID    string
	Panels []struct {
		ID                 int
		Type, Title        string
		Description        string
		GridPos            struct{ X, Y, W, H int }
		Targets            []struct{ Expr, RefID string }
		Datasource         struct{ UID string }
		FieldConfig        struct{ Defaults struct{ Unit string } }
		LibraryPanel, Link any
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	require.NoError(t, json.Unmarshal(readFile(t, "deploy/grafana/hookyard.json"), &d))
	require.NotEmpty(t, d.Panels)
	return d
}

// TestDashboard sees that Grafana has nothing to complain about: it says so only
// to whoever looks.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var alerts []string
	for _, rule := range readRules(t) {
		alerts = append(alerts, rule.Alert)
	}
	d := readDashboard(t)
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], "id %d is there twice", p.ID)
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[place], "%q is on top of it", p.Title)
				require.Less(t, place[0], 24, p.Title)
				taken[place] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, "%s: it has to go with any Prometheus", p.Title)
		for _, name := range regexp.MustCompile(`Hookyard\w+`).FindAllString(p.Description, -1) {
			require.Contains(t, alerts, name, p.Title)
		}
	}
}

// expressions returns what the dashboard and the rules ask Prometheus, with
// Grafana's variables filled in.
func expressions(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, rule := range readRules(t) {
		all = append(all, rule.Expr)
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$source", ".*")
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, fill.Replace(target.Expr))
		}
	}
	return all
}

// metricNames returns the metrics of ours that the expressions name, sorted.
func metricNames(expressions []string) []string {
	name := regexp.MustCompile(`\b(?:hookyard|temporal|process)_\w+`)
	var all []string
	for _, e := range expressions {
		all = append(all, name.FindAllString(e, -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
