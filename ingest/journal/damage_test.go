package journal_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/journal"
)

// image is the bytes of a journal with some records: its file and its write-ahead
// log.
type image struct {
	file, log []byte
	ids       []string // in the order in which they were acknowledged
}

// photograph appends records one by one, each with a commit of its own. Those
// after moved are in the write-ahead log only.
func photograph(t *testing.T, moved, logged int) (i image) {
	t.Helper()
	at, starts := file(t), newTemporal()
	starts.set(errors.New("away"))
	add := func(n int) (stop func()) {
		j, stop := run(t, at, starts, nil)
		for range n {
			id := fmt.Sprintf("e%02d", len(i.ids))
			require.NoError(t, put(t, j, "s", id, `{"body":"of `+id+`"}`))
			i.ids = append(i.ids, id)
		}
		return stop
	}
	add(moved)() // to close the file moves its log into it
	stop := add(logged)
	var err error
	i.file, err = os.ReadFile(at.SQLite)
	require.NoError(t, err)
	i.log, err = os.ReadFile(at.SQLite + "-wal")
	require.NoError(t, err)
	stop()
	return i
}

// found is what a journal made of such bytes.
type found struct {
	started *temporal
	aside   int
	moved   []string // files that were moved aside
}

// drained runs a journal on the bytes until each of the ids is accounted for, if
// it is, and no record waits.
func (i image) drained(t *testing.T, folder string) found {
	t.Helper()
	at := journal.Place{SQLite: filepath.Join(folder, "j.db"), MaxSize: 64 << 20}
	old, err := filepath.Glob(filepath.Join(folder, "*.db*"))
	require.NoError(t, err)
	for _, name := range old {
		if name != at.SQLite+".reserve" { // which takes long to make
			if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) { // SQLite deletes journals of its own
				require.NoError(t, err)
			}
		}
	}
	require.NoError(t, os.WriteFile(at.SQLite, i.file, 0o600))
	require.NoError(t, os.WriteFile(at.SQLite+"-wal", i.log, 0o600))
	f, log := found{started: newTemporal()}, newSaid()
	_, stop := run(t, at, f.started, func(o *journal.Options) { o.Logger, o.MaxInFlight = slog.New(log), 1 })
	eventually(t, func() bool {
		if len(f.started.ids())+log.count("set aside and not started") >= len(i.ids) || log.count("moved aside whole") > 0 {
			return true
		}
		for _, d := range depth(t, at) {
			if d.Records > 0 {
				return false
			}
		}
		return true
	})
	stop()
	f.aside = log.count("set aside and not started")
	f.moved, err = filepath.Glob(at.SQLite + ".damaged-*[0-9]")
	require.NoError(t, err)
	for id, body := range f.started.bodies {
		require.Equal(t, `{"body":"of `+id+`"}`, body, "started with bytes that nobody sent")
	}
	return f
}

// TestFlippedBytes flips bytes of a small file, one at a time. Each event is
// started as it was sent, or set aside, or its file is moved aside; and from such
// a file, `recover` gets what SQLite can read.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	whole := photograph(t, 12, 0)
	require.Empty(t, whole.log)
	folder := t.TempDir()
	intact := whole.drained(t, folder)
	require.Equal(t, whole.ids, intact.started.ids())
	asides, moves, recovered := 0, 0, int64(0)
	// A stride that is prime to the size of a page meets each kind of byte.
	for at := 7; at < len(whole.file); at += stride(t, 509) {
		flipped := whole
		flipped.file = append([]byte(nil), whole.file...)
		flipped.file[at] ^= 0x41
		f := flipped.drained(t, folder)
		asides, moves = asides+f.aside, moves+len(f.moved)
		if len(f.moved) == 0 {
			require.Equal(t, len(whole.ids), len(f.started.ids())+f.aside, "byte %d: an event is lost, and nobody heard of it", at)
		} else {
			r, err := recoverInto(t, folder, f.moved[0])
			require.NoError(t, err, "byte %d", at)
			recovered += r.Added
			require.LessOrEqual(t, r.Added+r.Damaged, int64(len(whole.ids)))
			if r.Unread == 0 && r.FirstLoss == nil {
				require.Equal(t, int64(len(whole.ids)), r.Added+r.Damaged, "byte %d", at)
			}
		}
	}
	require.Positive(t, asides)
	require.Positive(t, moves)
	require.Positive(t, recovered)
}

func recoverInto(t *testing.T, folder, damaged string) (journal.Recovered, error) {
	t.Helper()
	fresh, err := journal.OpenTables(t.Context(), journal.Place{SQLite: filepath.Join(folder, "new.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, fresh.Close()) }()
	return fresh.Recover(t.Context(), damaged)
}

// stride is how many bytes a test leaves out; HOOKYARD_TEST_EVERY_BYTE has it
// leave out none, for an hour or so.
func stride(t *testing.T, usual int) int {
	t.Helper()
	if os.Getenv("HOOKYARD_TEST_EVERY_BYTE") != "" {
		return 1
	}
	return usual
}

// TestTornLog cuts the write-ahead log short, as a loss of power does with what
// was not synced: what was committed before the cut is there, whole and in order.
func TestTornLog(t *testing.T) {
	t.Parallel()
	whole := photograph(t, 3, 9)
	require.Greater(t, len(whole.log), 9*4096)
	folder := t.TempDir()
	before := 3
	for cut := 0; cut <= len(whole.log); cut += stride(t, 2063) {
		torn := whole
		torn.log = whole.log[:cut]
		f := torn.drained(t, folder)
		require.Empty(t, f.moved, "cut at %d", cut)
		require.Zero(t, f.aside, "cut at %d", cut)
		n := len(f.started.ids())
		require.GreaterOrEqual(t, n, before, "cut at %d: with more of the log, fewer are there", cut)
		require.Equal(t, whole.ids[:n], f.started.ids(), "cut at %d", cut)
		before = n
	}
	require.Positive(t, before)
	require.Equal(t, whole.ids, whole.drained(t, folder).started.ids())
}

// TestTheChecksumHasEveryField changes one field of a record at a time, and moves
// a byte from one field to the next.
func TestTheChecksumHasEveryField(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *journal.Record){
		"source":      func(r *journal.Record) { r.Source = "t" },
		"workflow id": func(r *journal.Record) { r.WorkflowID += "2" },
		"time":        func(r *journal.Record) { r.AppendedAt = r.AppendedAt.Add(time.Microsecond) },
		"encoding":    func(r *journal.Record) { r.JSON = !r.JSON },
		"header":      func(r *journal.Record) { r.Header[len(r.Header)/2] ^= 1 },
		"payload":     func(r *journal.Record) { r.Payload[0] ^= 1 },
		"no payload":  func(r *journal.Record) { r.Payload = nil },
		"checksum":    func(r *journal.Record) { r.CRC ^= 1 },
		"a byte moves": func(r *journal.Record) {
			end := len(r.Header) - 1
			r.Header, r.Payload = r.Header[:end], append([]byte{r.Header[end]}, r.Payload...)
		},
	} {
		r, err := journal.NewRecord(of("s", "e"), []byte(`{"a":1}`), true, time.Now(), nil)
		require.NoError(t, err)
		_, err = r.Event()
		require.NoError(t, err)
		change(r)
		require.ErrorIs(t, r.Check(), journal.ErrDamaged, name)
	}
}
