package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/store"
)

// TestNearlyFull fills a journal, lets the drain work it off, and sees that the
// disk has its room again.
func TestNearlyFull(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at.MaxSize = 48 << 20 // of which SQLite keeps 16 MiB: free pages and its log
			starts := newTemporal()
			starts.set(errors.New("away"))
			j, stop := run(t, at, starts, nil)
			acknowledged := fillUp(t, j, journal.ErrFull)
			require.ErrorIs(t, j.Ready(), journal.ErrFull)
			size := onDisk(t, at)
			require.LessOrEqual(t, size, at.MaxSize)
			starts.set(nil)
			eventually(t, func() bool { return len(starts.ids()) == len(acknowledged) })
			eventually(t, func() bool { return j.Ready() == nil })
			require.NoError(t, put(t, j, "s", "one more", "{}"))
			eventually(t, func() bool { return len(starts.ids()) == len(acknowledged)+1 })
			require.Subset(t, starts.ids(), acknowledged)
			if at.SQLite != "" {
				eventually(t, func() bool { return onDisk(t, at) < size-8<<20 })
			}
			stop()
		})
	}
}

// fillUp appends until the journal refuses, and returns what it took.
func fillUp(t *testing.T, j *journal.Journal, want error) (acknowledged []string) {
	t.Helper()
	body := strings.Repeat("0123456789abcdef", 16<<10)
	for i := range 1000 {
		id := fmt.Sprint("e", i)
		err := put(t, j, "s", id, body)
		if err != nil {
			if want != nil {
				require.ErrorIs(t, err, want)
			}
			return acknowledged
		}
		acknowledged = append(acknowledged, id)
	}
	require.Fail(t, "it never refused")
	return nil
}

// onDisk returns the bytes of the file and its write-ahead log; 0 for PostgreSQL.
func onDisk(t *testing.T, at journal.Place) (total int64) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(at.SQLite + suffix); err == nil && at.SQLite != "" {
			total += info.Size()
		}
	}
	return total
}

// smallDisk returns a journal that runs out of room before its own bound does: on
// a small file system where this process may mount one, else below SQLite's limit
// of pages.
func smallDisk(t *testing.T) journal.Place {
	t.Helper()
	folder := t.TempDir()
	if exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder).Run() != nil {
		return journal.Place{SQLite: filepath.Join(folder, "j.db"), MaxSize: 16 << 20}
	}
	t.Cleanup(func() {
		require.NoError(t, exec.CommandContext(context.WithoutCancel(t.Context()), "umount", folder).Run())
	})
	return journal.Place{SQLite: filepath.Join(folder, "j.db"), MaxSize: 1 << 30}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	at, starts, log := smallDisk(t), newTemporal(), newSaid()
	starts.set(errors.New("away"))
	j, stop := run(t, at, starts, logTo(log))
	acknowledged := fillUp(t, j, nil)
	require.NotEmpty(t, acknowledged)
	require.Positive(t, log.count("an error of the disk"), "full by SQLite's word, not by the bound")
	starts.set(nil)
	eventually(t, func() bool { return len(starts.ids()) >= len(acknowledged) })
	require.Subset(t, starts.ids(), acknowledged)
	eventually(t, func() bool { return put(t, j, "s", "one more", "{}") == nil })
	eventually(t, func() bool { return len(starts.ids()) >= len(acknowledged)+1 })
	require.Zero(t, log.count("is damaged"))
	stop()
	require.Zero(t, depth(t, at)["s"].Records)
}

// TestACommitThatFails has each insert fail. The journal is opened anew each
// time, takes nothing meanwhile, and goes on after.
func TestACommitThatFails(t *testing.T) {
	t.Parallel()
	at, starts, log := file(t), newTemporal(), newSaid()
	j, stop := run(t, at, starts, logTo(log))
	require.NoError(t, put(t, j, "s", "before", "{}"))
	db, err := store.Open(t.Context(), store.Options{SQLite: at.SQLite})
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "create trigger broken before insert on journal begin select raise(abort, 'broken'); end")
	require.NoError(t, err)
	for i := range 3 {
		eventually(t, func() bool { return j.Ready() == nil })
		require.ErrorContains(t, put(t, j, "s", "broken", "{}"), "may or may not be in the journal")
		require.Equal(t, i+1, log.count("an error of the disk"))
	}
	_, err = db.ExecContext(t.Context(), "drop trigger broken")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	eventually(t, func() bool { return put(t, j, "s", "after", "{}") == nil })
	eventually(t, func() bool { return len(starts.ids()) == 2 })
	require.Equal(t, []string{"before", "after"}, starts.ids())
	stop()
}

// TestTheFileIsDeleted deletes the file of a running journal, or moves it: what
// was written to that is not acknowledged.
func TestTheFileIsDeleted(t *testing.T) {
	t.Parallel()
	at, starts, log := file(t), newTemporal(), newSaid()
	starts.set(errors.New("away"))
	j, stop := run(t, at, starts, logTo(log))
	require.NoError(t, put(t, j, "s", "before", "{}"))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.Rename(at.SQLite+suffix, at.SQLite+".away"+suffix))
	}
	require.ErrorContains(t, put(t, j, "s", "lost", "{}"), "another file is in the place")
	eventually(t, func() bool { return put(t, j, "s", "after", "{}") == nil })
	require.Equal(t, 1, log.count("an error of the disk"))
	starts.set(nil)
	eventually(t, func() bool { return len(starts.ids()) == 1 })
	require.Equal(t, []string{"after"}, starts.ids())
	stop()
}

// TestResultsOfAnotherFile replaces the file while starts are under way. Their
// records are not those that have the same numbers in the new file.
func TestResultsOfAnotherFile(t *testing.T) {
	t.Parallel()
	at, starts := file(t), newTemporal()
	entered, let := make(chan struct{}, 10), make(chan struct{})
	j, stop := run(t, at, starts, func(o *journal.Options) {
		hold := o.Hold
		o.Hold = func(ctx context.Context, source string) (bool, error) {
			if source == "slow" {
				entered <- struct{}{}
				<-let
			}
			return hold(ctx, source)
		}
	})
	require.NoError(t, put(t, j, "slow", "first", "{}"))
	<-entered
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.Rename(at.SQLite+suffix, at.SQLite+".away"+suffix))
	}
	require.Error(t, put(t, j, "slow", "lost", "{}"))
	eventually(t, func() bool { return j.Ready() == nil })
	starts.mu.Lock()
	starts.errOf["second"] = errors.New("not yet")
	starts.mu.Unlock()
	require.NoError(t, put(t, j, "slow", "second", "{}"))
	<-entered // it has the number of the first
	close(let)
	eventually(t, func() bool { return len(starts.ids()) == 1 })
	// The first one's number is deleted with the next that is started.
	require.NoError(t, put(t, j, "s", "third", "{}"))
	eventually(t, func() bool { return len(starts.ids()) == 2 })
	eventually(t, func() bool { return depth(t, at)["s"].Records == 0 })
	stop()
	require.Equal(t, int64(1), depth(t, at)["slow"].Records, "the second one still waits")
}
