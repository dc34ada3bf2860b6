//go:build linux && (amd64 || arm64)

package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// powerChild is set where this binary is an edge that will lose power. It holds a
// powerCut in JSON.
const powerChild = "HOOKYARD_TEST_POWER"

// powerCut is an edge on a disk of its own, and how that ends.
type powerCut struct {
	Place    journal.Place
	Left     string // the folder for what the disk still has
	After    int    // so many acknowledged events
	Some     bool   // half of what was not synced is there
	Unsynced bool   // SQLite does not sync: the control
	Failing  int    // so many syncs fail, halfway
}

// TestPowerProcess is what such an edge runs. It prints the ids of the events
// that were acknowledged before the power went.
func TestPowerProcess(t *testing.T) {
	t.Parallel()
	text := os.Getenv(powerChild)
	if text == "" {
		t.Skip("TestLossOfPower and TestSyncsThatFail run it")
	}
	var c powerCut
	require.NoError(t, json.Unmarshal([]byte(text), &c))
	under := newDisk()
	away := newTemporal()
	away.set(errors.New("away"))
	j, _ := run(t, c.Place, away, nil)
	if c.Unsynced {
		require.NoError(t, j.Unsynced(t.Context()))
	}
	var (
		senders      errgroup.Group
		mu           sync.Mutex
		acknowledged []string
		refused      int
		enough       = make(chan struct{})
		halfway      sync.Once
	)
	for sender := range 8 {
		senders.Go(func() error {
			for n := 0; ; n++ {
				id := fmt.Sprint(n, "-of-", sender)
				err := j.Start(t.Context(), of("s", id), ingest.Payload([]byte(strings.Repeat(id, 40)), false))
				mu.Lock()
				if err == nil {
					acknowledged = append(acknowledged, id)
				} else {
					refused++
				}
				have := len(acknowledged)
				mu.Unlock()
				if have > c.After/2 && c.Failing > 0 {
					halfway.Do(func() { under.failNext(c.Failing) })
				}
				if have > c.After {
					break
				}
			}
			return nil
		})
	}
	go func() {
		defer close(enough)
		_ = senders.Wait()
	}()
	<-enough
	require.NoError(t, under.losesPower(c.Left, c.Some))
	if c.Failing > 0 {
		require.Positive(t, refused, "no event was refused though syncs failed")
	}
	out := strings.Join(acknowledged, "\nack ")
	_, err := os.Stdout.WriteString("ack " + out + "\n")
	require.NoError(t, err)
}

// lost cuts the power of an edge and returns which acknowledged events are gone.
func (c powerCut) lost(t *testing.T) []string {
	t.Helper()
	folder := t.TempDir()
	c.Place = journal.Place{SQLite: filepath.Join(folder, "j.db"), MaxSize: 64 << 20}
	c.Left = t.TempDir()
	program, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestPowerProcess$")
	cmd.Env = append(os.Environ(), powerChild+"="+string(text))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	var acknowledged []string
	for line := range bytes.Lines(out) {
		if id, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("ack ")); ok {
			acknowledged = append(acknowledged, string(id))
		}
	}
	require.Greater(t, len(acknowledged), c.After)
	return missing(t, journal.Place{SQLite: filepath.Join(c.Left, "j.db"), MaxSize: 64 << 20}, acknowledged)
}

// TestLossOfPower takes the power from an edge and keeps of its disk what was
// synced, alone and with half of the rest. The control does not sync: if nothing
// were missing then either, this would say nothing.
func TestLossOfPower(t *testing.T) {
	t.Parallel()
	for _, after := range []int{50, 400, 3000} { // the last one moves the log into the file meanwhile
		require.Empty(t, powerCut{After: after}.lost(t))
		require.Empty(t, powerCut{After: after, Some: true}.lost(t))
	}
	require.NotEmpty(t, powerCut{After: 400, Unsynced: true}.lost(t), "the control lost nothing")
}

// TestSyncsThatFail has the disk fail to sync, with what that loses, before the
// power goes. Those events were refused; what is acknowledged later is on disk.
func TestSyncsThatFail(t *testing.T) {
	t.Parallel()
	for _, failing := range []int{1, 2, 5} {
		require.Empty(t, powerCut{After: 400, Failing: failing}.lost(t), "%d syncs failed", failing)
	}
}
