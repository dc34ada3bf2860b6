package measure

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

const testSecret = "whsec_of_the_tests"

func testFactory(t *testing.T) *factory {
	f, err := newFactory("run", testSecret)
	require.NoError(t, err)
	return f
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	f := testFactory(t)
	for _, size := range []int{usualBody, largeBody} {
		deliveries, err := f.batch("round", 3, size)
		require.NoError(t, err)
		require.Len(t, deliveries, 3)
		for _, d := range deliveries {
			require.Len(t, d.body, size)
			require.True(t, verified([]byte(testSecret), d.header.Get("Stripe-Signature"), d.body))
			var said struct{ ID, Type string }
			require.NoError(t, json.Unmarshal(d.body, &said))
			require.Equal(t, d.id, said.ID)
			require.Equal(t, eventType, said.Type)
			require.Equal(t, "edge:"+d.id, event.WorkflowID("edge", d.id), "the id is found by its prefix")
		}
		require.NotEqual(t, deliveries[0].id, deliveries[1].id)
	}
}

func TestVerifiedRefuses(t *testing.T) {
	t.Parallel()
	deliveries, err := testFactory(t).batch("round", 1, usualBody)
	require.NoError(t, err)
	d := deliveries[0]
	header := d.header.Get("Stripe-Signature")
	require.False(t, verified([]byte("another"), header, d.body))
	require.False(t, verified([]byte(testSecret), header, d.body[1:]))
	require.False(t, verified([]byte(testSecret), "", d.body))
	require.False(t, verified([]byte(testSecret), "t=1,v1=zz", d.body))
}

// counting is a server that says 200 to the first so many events.
func counting(t *testing.T, good int) (url string, seen func() map[string]int) {
	var mu sync.Mutex
	ids := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids[r.Header.Get(eventIDHeader)]++
		if len(ids) > good {
			http.Error(w, "no more", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return ids
	}
}

func TestBlastSendsEachOnce(t *testing.T) {
	t.Parallel()
	deliveries, err := testFactory(t).batch("round", 100, usualBody)
	require.NoError(t, err)
	url, seen := counting(t, 100)
	send, closeIdle := poster(url, 8)
	defer closeIdle()
	l, err := blast(t.Context(), 8, deliveries, send)
	require.NoError(t, err)
	require.Len(t, l.latencies, 100)
	require.NotContains(t, l.latencies, 0)
	require.Positive(t, l.perSecond())
	require.Len(t, seen(), 100)
	for id, times := range seen() {
		require.Equal(t, 1, times, id)
	}
}

func TestBlastSendsAgain(t *testing.T) {
	t.Parallel()
	deliveries, err := testFactory(t).batch("round", 4, usualBody)
	require.NoError(t, err)
	var tried sync.Map
	l, err := blast(t.Context(), 4, deliveries, func(_ context.Context, d delivery) error {
		if _, before := tried.LoadOrStore(d.id, true); !before {
			return errors.New("not now")
		}
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 4, l.again)
	for _, latency := range l.latencies {
		require.GreaterOrEqual(t, latency, beforeAgain, "the pause counts")
	}
}

func TestBlastStopsAtARefusalForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock moves while all wait
		deliveries, err := testFactory(t).batch("round", 100, usualBody)
		require.NoError(t, err)
		var sent atomic.Int64
		_, err = blast(t.Context(), 4, deliveries, func(context.Context, delivery) error {
			if sent.Add(1) > 10 {
				return errors.New("no more")
			}
			return nil
		})
		require.ErrorContains(t, err, "event evt_run_round_")
		require.ErrorContains(t, err, "no more")
		require.LessOrEqual(t, sent.Load(), int64(10+4*attempts), "none begins another one")
	})
}

func TestPosterSaysWhatWasAnswered(t *testing.T) {
	t.Parallel()
	deliveries, err := testFactory(t).batch("round", 2, usualBody)
	require.NoError(t, err)
	url, seen := counting(t, 1)
	send, closeIdle := poster(url, 1)
	defer closeIdle()
	require.NoError(t, send(t.Context(), deliveries[0]))
	require.ErrorContains(t, send(t.Context(), deliveries[1]), "answered 503: no more")
	require.Len(t, seen(), 2)
}

func TestHeldBody(t *testing.T) {
	t.Parallel()
	const text = "all but the last byte!"
	reached, release := make(chan struct{}), make(chan struct{})
	body := &heldBody{data: []byte(text), reached: sync.OnceFunc(func() { close(reached) }), release: release, done: t.Context().Done()}
	part := make([]byte, 2*len(text))
	n, err := body.Read(part)
	require.NoError(t, err)
	require.Equal(t, text[:len(text)-1], string(part[:n]))
	last := make(chan string)
	go func() {
		rest, _ := io.ReadAll(body)
		last <- string(rest)
	}()
	<-reached
	close(release)
	require.Equal(t, "!", <-last)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	given := &heldBody{data: []byte("x"), reached: func() {}, done: over.Done()}
	_, err = given.Read(make([]byte, 1))
	require.ErrorIs(t, err, context.Canceled)
}

func TestEventually(t *testing.T) {
	t.Parallel()
	times := 0
	require.NoError(t, eventually(t.Context(), patience, 1, "it comes", func(context.Context) (bool, error) {
		times++
		return times == 3, nil
	}))
	never := errors.New("never")
	require.ErrorIs(t, eventually(t.Context(), patience, 1, "it comes", func(context.Context) (bool, error) { return false, never }), never)
	require.ErrorContains(t, eventually(t.Context(), 1, 1, "it comes", func(context.Context) (bool, error) { return false, nil }), "it comes")
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := Report{
		Machine: Machine{CPUs: 2, OS: "linux", Arch: "amd64", Go: "go1.26"}, Temporal: "a server", Events: 500, Rounds: 5,
		Edge: []EdgeFigures{
			{Name: edgeItself, Concurrency: 16, PerSecond: 1000, P50: 1, P99: 2, P999: 3, CPU: 500, Bytes: 4000, PerSecondOfBare: 0.98, P99OfBare: 1.05, CPUBeyondBare: 55},
			{Name: edgeLoop, Concurrency: 16, PerSecond: 1100},
		},
		EndToEnd: []EndToEndFigures{
			{Name: hookyardOne, PerSecond: 200, PerSecondOfPlain: 2.6, Writes: map[string]float64{"CreateWorkflowExecution": 1, "UpdateWorkflowExecution": 1}},
			{Name: plainOne, PerSecond: 77, PerSecondOfPlain: 1},
		},
		Memory: &MemoryFigures{Bodies: 64, BodySize: largeBody, Idle: 30 << 20, Held: 100 << 20, Peak: 110 << 20, BeyondBodies: 46 << 20},
	}
	var text strings.Builder
	require.NoError(t, r.Table(&text))
	lines := map[string]string{}
	for line := range strings.Lines(text.String()) {
		words := strings.Join(strings.Fields(line), " ")
		lines[words] = words
	}
	for _, want := range []string{
		"2 CPUs, linux/amd64, go1.26; a server",
		"edge 1000 0.98 1.00 2.00 1.05 3.00 500 +55 4000 0",
		"bare start in a loop 1100 0.00 0.00 0.00 0.00 0.00 unknown - unknown 0",
		"hookyard, one process 200 2.60 0.0 0.0 unknown 2.0 0.0",
		"plain, one process 77 1.00 0.0 0.0" + strings.Repeat(" unknown", 3),
		"edge 30.0 MiB 100.0 MiB 110.0 MiB 46.0 MiB 0",
	} {
		require.Contains(t, lines, want, text.String())
	}
	r = Report{Soak: &SoakFigures{Events: 10, Seconds: 2, Processes: []SoakProcess{{Name: "soak", RSS: Quarters{Means: [4]float64{1 << 20, 1 << 20, 2 << 20, 3 << 20}}}}}}
	text.Reset()
	require.NoError(t, r.Table(&text))
	require.Regexp(t, `soak, MiB resident +1.0 +1.0 +2.0 +3.0 +no`, text.String())
	require.Regexp(t, `soak, threads +0.0 +0.0 +0.0 +0.0 +unknown`, text.String())
}
