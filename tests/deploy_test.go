package tests

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/tests/harness"
)

// None of this can be run without a container engine. So it is held to the
// schemas of what would run it, and its parts to each other. What it adds up to
// runs in TestTopology.

// compose is what docker-compose.yml says, as far as tests ask.
type compose struct {
	Services map[string]container
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
}

// container is one of its services.
type container struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Secrets     []string
	Volumes     []string
	Networks    []string
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Deploy      struct{ Replicas int }
	Healthcheck struct {
		Test    []string
		Disable bool
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
}

// ours reports whether it runs hookyard.
func (c container) ours() bool { return c.Image == "hookyard" }

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	require.NoError(t, err)
	return text
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	require.NoError(t, yaml.Load(readFile(t, "docker-compose.yml"), &c))
	require.NotEmpty(t, c.Services)
	return c
}

// documents returns what a YAML file holds, as JSON would hold it.
func documents(t *testing.T, path string) []any {
	t.Helper()
	loader, err := yaml.NewLoader(bytes.NewReader(readFile(t, path)))
	require.NoError(t, err)
	var all []any
	for {
		var document any
		err := loader.Load(&document)
		if err == io.EOF { //nolint:errorlint // as the loader documents
			return all
		}
		require.NoError(t, err, path)
		text, err := json.Marshal(document)
		require.NoError(t, err, path)
		plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		all = append(all, plain)
	}
}

// schema returns a part of a schema in testdata/deploy, whose README says where
// they are from.
func schema(t *testing.T, file, part string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(readFile(t, "tests/testdata/deploy/"+file)))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("file:///"+file, document))
	compiled, err := compiler.Compile("file:///" + file + part)
	require.NoError(t, err)
	return compiled
}

func TestComposeSchema(t *testing.T) {
	t.Parallel()
	file := documents(t, "docker-compose.yml")
	require.Len(t, file, 1)
	compiled := schema(t, "compose-spec.json", "")
	require.NoError(t, compiled.Validate(file[0]))
	services := as[map[string]any](t, as[map[string]any](t, file[0])["services"])
	as[map[string]any](t, services["edge"])["read-only"] = true
	require.Error(t, compiled.Validate(file[0]), "the schema finds a key that it does not know")
}

// TestComposeReach sees that nothing but the edge can be reached from another
// machine.
func TestComposeReach(t *testing.T) {
	t.Parallel()
	for name, c := range readCompose(t).Services {
		require.NotEmpty(t, c.Networks, "%s would be in the default network, which has a way out", name)
		for _, port := range c.Ports {
			if name != "edge" {
				require.Regexp(t, `^127\.0\.0\.1:`, port, name)
			}
			_, inside, found := strings.Cut(strings.TrimPrefix(port, "127.0.0.1:"), ":")
			require.True(t, found, port)
			require.Equal(t, "8080", inside, "%s publishes a port that is not for deliveries or browsers", name)
		}
	}
}

// TestComposeOrder sees that each service starts when what it needs is there,
// and that this can come about.
func TestComposeOrder(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	needs := map[string][]string{
		"postgres":        nil,
		"temporal-schema": {"postgres"},
		"temporal":        {"postgres", "temporal-schema"},
		"temporal-ui":     {"temporal"},
		"setup":           {"temporal"},
		"edge":            {"setup"},
		"worker":          {"postgres", "setup"},
	}
	for name, service := range c.Services {
		require.ElementsMatch(t, needs[name], slices.Collect(maps.Keys(service.DependsOn)), name)
		for other, on := range service.DependsOn {
			ends := c.Services[other].Restart == "on-failure"
			if ends {
				require.Equal(t, "service_completed_successfully", on.Condition, "%s needs %s", name, other)
				continue
			}
			require.Equal(t, "service_healthy", on.Condition, "%s needs %s", name, other)
			require.NotEmpty(t, c.Services[other].Healthcheck.Test, "%s is waited for and has no health check", other)
		}
	}
	require.Len(t, c.Services, len(needs))
	require.Contains(t, c.Volumes, "postgres")
	require.Contains(t, c.Services["postgres"].Volumes, "postgres:/var/lib/postgresql/data")
}

// TestComposeSecrets sees that secrets are files that git does not have, and
// that the config finds those it names.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	password := regexp.MustCompile(`(?i)(pass|pwd|secret|token|key)`)
	for name, service := range c.Services {
		for variable, value := range service.Environment {
			if password.MatchString(variable) {
				require.Regexp(t, `_FILE$`, variable, "%s has a secret in its environment", name)
				require.Regexp(t, `^/run/secrets/`, value)
			}
		}
		for _, secret := range service.Secrets {
			require.Contains(t, c.Secrets, secret, name)
		}
		for _, volume := range service.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(source, ".") {
				_, err := os.Stat(filepath.Join("..", source))
				require.NoError(t, err, name)
				require.Regexp(t, ":ro$", volume, name)
			}
		}
	}
	for name, secret := range c.Secrets {
		require.Equal(t, "./deploy/secrets/"+name, secret.File)
	}
	named := secretFiles(t)
	require.Empty(t, cmp.Diff(named, slices.Sorted(slices.Values(c.Services["edge"].Secrets))))
	require.Empty(t, cmp.Diff(named, slices.Sorted(slices.Values(c.Services["worker"].Secrets))))
}

// secretFiles returns the names of the secrets in deploy/config/hookyard.yaml, sorted.
func secretFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`file:/run/secrets/(\w+)`).FindAllSubmatch(readFile(t, "deploy/config/hookyard.yaml"), -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestSecretsScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "secrets.sh")
	require.NoError(t, os.WriteFile(script, readFile(t, "deploy/secrets.sh"), 0o700))
	secrets := filepath.Join(dir, "secrets")
	require.NoError(t, os.Mkdir(secrets, 0o755))
	run := func() (said string, ok bool) {
		p := harness.Run(t, nil, "/bin/sh", script)
		err := p.Wait()
		return p.Output.String(), err == nil
	}
	said, ok := run()
	require.False(t, ok, "what others give out is missing")
	for _, name := range []string{"stripe", "orders", "smtp_url"} {
		require.Contains(t, said, name+": missing")
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte("x"), 0o600))
	}
	made, err := os.ReadFile(filepath.Join(secrets, "postgres_password"))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{48}$`, string(made))
	require.NotContains(t, said, string(made))

	said, ok = run()
	require.True(t, ok, said)
	require.Empty(t, said, "nothing is made twice")
	again, err := os.ReadFile(filepath.Join(secrets, "postgres_password"))
	require.NoError(t, err)
	require.Equal(t, made, again)
	ledger, err := os.ReadFile(filepath.Join(secrets, "ledger_url"))
	require.NoError(t, err)
	require.Contains(t, string(ledger), ":"+string(made)+"@postgres:5432/hookyard")
	folder, err := os.Stat(secrets)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
}

// TestComposeVersions sees that the images are of the versions that the tests
// run, and that none is whatever is the newest.
func TestComposeVersions(t *testing.T) {
	t.Parallel()
	modules := readFile(t, "devserver/go.mod")
	tested := func(module string) string {
		m := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(modules)
		require.NotNil(t, m, module)
		return string(m[1])
	}
	for name, service := range readCompose(t).Services {
		image, tag, _ := strings.Cut(service.Image, ":")
		switch image {
		case "temporalio/server", "temporalio/admin-tools":
			require.Equal(t, tested("go.temporal.io/server"), tag, name)
		case "temporalio/ui":
			require.Equal(t, tested("github.com/temporalio/ui-server/v2"), tag, name)
		case "postgres":
			require.Equal(t, "16", tag)
		default:
			require.True(t, service.ours(), "%s: image %q", name, service.Image)
		}
	}
}

// TestContainersHaveNoRights sees that what takes requests from the internet
// can do nothing else.
func TestContainersHaveNoRights(t *testing.T) {
	t.Parallel()
	for name, service := range readCompose(t).Services {
		if !service.ours() {
			continue
		}
		require.True(t, service.ReadOnly, name)
		require.Empty(t, cmp.Diff([]string{"ALL"}, service.CapDrop), name)
		require.Empty(t, cmp.Diff([]string{"no-new-privileges:true"}, service.SecurityOpt), name)
	}
}

// TestDockerfile sees what of the Dockerfile can be seen without an engine: its
// stages, the user, and that the programs and flags it calls are there.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	var stages [][]string // the instructions of each, comments left out
	for line := range strings.Lines(string(readFile(t, "Dockerfile"))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "FROM ") {
			stages = append(stages, nil)
		}
		require.NotEmpty(t, stages, "starts with FROM")
		stages[len(stages)-1] = append(stages[len(stages)-1], line)
	}
	require.Len(t, stages, 2)
	build, image := stages[0], stages[1]

	toolchain := regexp.MustCompile(`^FROM golang:(\d+\.\d+\.\d+)-bookworm AS build$`).FindStringSubmatch(build[0])
	require.NotNil(t, toolchain, build[0])
	makefile := string(readFile(t, "Makefile"))
	compile := strings.TrimPrefix(build[len(build)-1], "RUN ")
	require.Contains(t, makefile, strings.Replace(compile, "-o /hookyard", "-o bin/hookyard", 1), "it is built as by `make build`")

	require.Equal(t, "FROM scratch", image[0])
	require.Contains(t, image, "COPY --from=build /hookyard /hookyard")
	require.Contains(t, image, "USER 65532:65532")
	require.Contains(t, image, "WORKDIR /etc/hookyard")
	require.Contains(t, image, `ENTRYPOINT ["/hookyard"]`)
	require.Contains(t, image, `CMD ["serve"]`)
	probe := image[slices.IndexFunc(image, func(line string) bool { return strings.HasPrefix(line, "HEALTHCHECK ") })]
	_, command, found := strings.Cut(probe, " CMD ")
	require.True(t, found)
	var args []string
	require.NoError(t, json.Unmarshal([]byte(command), &args), "without a shell in the image it has to be a list")
	accepts(t, args)
	for name, service := range readCompose(t).Services {
		if service.ours() && !service.Healthcheck.Disable {
			require.Equal(t, "CMD", service.Healthcheck.Test[0], name)
			accepts(t, service.Healthcheck.Test[1:])
		}
	}
}

// accepts sees that hookyard has the command, which is one of the image's, and
// the flags. Nothing listens where it asks, so it fails, and says why.
func accepts(t *testing.T, command []string) {
	t.Helper()
	require.Equal(t, "/hookyard", command[0])
	p := harness.Run(t, nil, programs.Hookyard, append(command[1:], "--admin", harness.TestAddress(t))...)
	require.Error(t, p.Wait())
	require.Equal(t, 1, p.ExitCode(), "Docker knows 0 and 1: %s", p.Output)
	require.Contains(t, p.Output.String(), "nothing answers there")
}

// TestDockerContext sees that secrets stay out of the image and of git.
func TestDockerContext(t *testing.T) {
	t.Parallel()
	ignored := strings.Split(string(readFile(t, ".dockerignore")), "\n")
	require.Contains(t, ignored, "deploy/secrets/*")
	require.NotContains(t, ignored, ".git", "Go reads the version from there")
	listed, err := exec.CommandContext(t.Context(), "git", "-C", "..", "check-ignore", "deploy/secrets/stripe").Output()
	require.NoError(t, err)
	require.Equal(t, "deploy/secrets/stripe\n", string(listed))
}

// TestDeployedConfig checks the config of the containers, and that Kubernetes
// has the same one.
func TestDeployedConfig(t *testing.T) {
	t.Parallel()
	p := harness.Run(t, nil, programs.Hookyard, "check", "--skip-secrets", "../deploy/config/hookyard.yaml")
	require.NoError(t, p.Wait(), p.Output)

	objects := kubernetes(t)
	config := object(t, objects, "ConfigMap", "hookyard")
	require.Equal(t, string(readFile(t, "deploy/config/hookyard.yaml")), as[map[string]any](t, config["data"])["hookyard.yaml"])

	compose := readCompose(t).Services["edge"].Environment
	variables := as[map[string]any](t, object(t, objects, "ConfigMap", "hookyard-temporal")["data"])
	require.ElementsMatch(t, slices.Collect(maps.Keys(compose)), slices.Collect(maps.Keys(variables)))
	for _, environment := range []string{compose["TEMPORAL_ADDRESS"], variables["TEMPORAL_ADDRESS"].(string)} {
		_, _, err := net.SplitHostPort(environment)
		require.NoError(t, err)
	}
}
