package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/tests/harness"
)

// attackers is how many connections strangers hold, or try to.
const attackers = 4000

// TestHostileSenders has thousands of connections do what takes memory, each
// kind in turn, at an edge that is a process of its own. Genuine deliveries,
// small and large, are taken throughout, and the edge stays within the memory
// that docs/operating.md promises and deploy/kubernetes gives it.
func TestHostileSenders(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), `
sources:
  github: {provider: github, secrets: [env:SECRET], max_body: 1900KiB}
  other: {provider: github, secrets: [env:SECRET], max_body: 1900KiB}
`)
	s.program = filepath.Join(t.TempDir(), "hookyard")
	require.NoError(t, harness.Plain(t.Context(), s.program, "../cmd/hookyard")) // the race detector takes memory of its own
	s.serve("--only", "edge")
	s.accept("github", "github", "first", "push", "{}")
	idle := residentPeak(t, s.PID())

	const post = "POST /webhooks/github HTTP/1.1\r\nHost: h\r\n"
	manyLines := strings.Builder{}
	for i := range 124 {
		fmt.Fprintf(&manyLines, "X-%d: b\r\n", i)
	}
	large := `{"a":"` + strings.Repeat("x", 1500<<10) + `"}`
	unsigned := post + "Content-Length: 1900000\r\n\r\n" + strings.Repeat("x", 1900000)
	for _, attack := range []struct {
		name  string
		sends []string // each connection one of them
	}{
		{"long headers that do not end", []string{post + "X: " + strings.Repeat("x", 15<<10)}},
		{"many headers that do not end", []string{post + manyLines.String()}},
		{"small bodies that do not end", []string{post + "Content-Length: 65536\r\n\r\n{"}},
		// A whole one each is more than this machine can send beside the other tests.
		{"large bodies that stall, and one in twenty without a signature", append(slices.Repeat([]string{unsigned[:70<<10]}, 19), unsigned)},
	} {
		stop := s.attack(attack.sends)
		s.accept("github", "github", attack.name, "push", "{}")
		s.accept("other", "github", attack.name, "push", large)
		stop()
		t.Logf("%s: %d MiB", attack.name, residentPeak(t, s.PID())>>20)
	}

	peak := residentPeak(t, s.PID())
	t.Logf("idle %d MiB, at most %d MiB", idle>>20, peak>>20)
	require.LessOrEqual(t, peak, documentedMemory(t))
}

// attack opens connections that send one of the texts and then wait, from many
// addresses, each again when it is closed. It returns once all of them have been
// opened. Those that open again do so at a pace that leaves the processor to the
// tests that run beside it.
func (s *system) attack(sends []string) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	first, again := rate.NewLimiter(2000, 100), rate.NewLimiter(200, 1)
	var texts [][]byte // which the connections share
	for _, text := range sends {
		texts = append(texts, []byte(text))
	}
	var opened, running sync.WaitGroup
	opened.Add(attackers)
	for i := range attackers {
		running.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
			opens := sync.OnceFunc(opened.Done)
			for pace := first; pace.Wait(ctx) == nil; pace = again {
				conn, err := d.DialContext(ctx, "tcp", s.address)
				opens()
				if err != nil {
					continue
				}
				breakOff := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = conn.Write(texts[i%len(texts)])
				_, _ = io.Copy(io.Discard, conn) // until the edge closes it
				breakOff()
				_ = conn.Close()
			}
		})
	}
	opened.Wait()
	return func() {
		cancel()
		running.Wait()
	}
}

// residentPeak returns the most memory that a process has had resident, in
// bytes.
func residentPeak(t *testing.T, pid int) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Skip("only Linux tells how much memory a process has had")
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found)
	kibibytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(t, err)
	return kibibytes << 10
}

// documentedMemory returns what docs/operating.md says that an edge takes, in
// bytes. What Kubernetes gives it is more.
func documentedMemory(t *testing.T) int64 {
	text, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	found := regexp.MustCompile(`\n\| edge \| (\d+) MiB of memory`).FindSubmatch(text)
	require.NotNil(t, found)
	said, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(t, err)

	edge := object(t, kubernetes(t), "Deployment", "hookyard-edge")
	containers := as[[]any](t, at(edge, "spec", "template", "spec", "containers"))
	limit := as[string](t, at(containers[0].(manifest), "resources", "limits", "memory"))
	given, err := strconv.ParseInt(strings.TrimSuffix(limit, "Mi"), 10, 64)
	require.NoError(t, err)
	require.Greater(t, given, said, "Kubernetes kills an edge that takes what the docs say")
	return said << 20
}
