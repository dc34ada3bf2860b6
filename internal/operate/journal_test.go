package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/store"
)

// starterFunc is a Starter.
type starterFunc func(ev event.Event) error

func (f starterFunc) Start(_ context.Context, ev event.Event, _ converter.RawValue) error {
	return f(ev)
}

// filled writes a journal with one event of the source "a" that waits, whose id is
// "waits", and sets the events of the given ids aside, of source "b". It returns
// the config.
func filled(t *testing.T, aside ...string) (config string) {
	t.Helper()
	folder := t.TempDir()
	config = filepath.Join(folder, command.DefaultConfig)
	require.NoError(t, os.WriteFile(config, []byte("store: {sqlite: s.db}\n"), 0o600))
	starter := starterFunc(func(ev event.Event) error {
		if ev.Source == "a" {
			return errors.New("away")
		}
		return fmt.Errorf("%w, says \x1b[31mTemporal", ingest.ErrTooLarge)
	})
	j, err := journal.New(journal.Options{
		Place: journal.Place{SQLite: filepath.Join(folder, "hookyard-journal.db")}, MaxAge: time.Hour, Live: starter, Backlog: starter,
		Hold: func(context.Context, string) (bool, error) { return false, nil }, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx, ctx) })
	require.Eventually(t, func() bool { return j.Ready() == nil }, time.Minute, time.Millisecond)
	put := func(source, id string) {
		ev := event.Event{Source: source, Provider: "github", ID: id, Type: "push", ReceivedAt: time.Now(), Headers: map[string][]string{"X-Token": {"in-a-header"}}}
		require.NoError(t, j.Start(t.Context(), ev, ingest.Payload([]byte(`{"card":"4111"}`), true)))
	}
	at, err := journal.OpenTables(t.Context(), journal.Place{SQLite: filepath.Join(folder, "hookyard-journal.db")})
	require.NoError(t, err)
	for i, id := range aside { // one after the other: they are numbered as they are set aside
		put("b", id)
		require.Eventually(t, func() bool {
			found, err := at.SetAside(t.Context(), journal.Some{Limit: 100})
			require.NoError(t, err)
			return len(found) == i+1
		}, time.Minute, time.Millisecond)
	}
	put("a", "waits")
	require.NoError(t, at.Close())
	stop()
	running.Wait()
	return config
}

// journalled runs `journal` with arguments and returns what it prints.
func journalled(t *testing.T, config string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	env, out, said := screen()
	cmd := journalCommand(env)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append(args, "--config", config))
	err = cmd.ExecuteContext(t.Context())
	require.NotContains(t, out.String()+said.String(), "in-a-header", "headers are not printed")
	require.NotContains(t, out.String()+said.String(), "\x1b")
	return out.String(), said.String(), err
}

func TestJournalCommands(t *testing.T) {
	t.Parallel()
	config := filled(t, "one", "two", "three")
	must := func(args ...string) string {
		t.Helper()
		out, _, err := journalled(t, config, args...)
		require.NoError(t, err)
		return out
	}
	require.Regexp(t, `^SOURCE  EVENTS  BYTES  OLDEST  SET ASIDE\na +1 +\d+ +\d+s +0\nb +0 +0 +- +3\n$`, must())
	require.Regexp(t, `(?s)^\{"source":"a","events":1,"bytes":\d+,"oldest":"20.*","set_aside":0\}\n\{"source":"b","events":0,"bytes":0,"set_aside":3\}\n$`, must("--json"))

	require.Regexp(t, `^ID  SOURCE  TYPE  WORKFLOW ID  AGE  REASON  ERROR\n\d+ +a +push  a:waits +\d+s +- +-\n$`, must("list"))
	require.Equal(t, "No record fits.\n", must("list", "--source", "b"))
	require.Empty(t, must("list", "--source", "b", "--json"), "for programs, nothing is no line")
	require.Equal(t, 4, strings.Count(must("list", "--set-aside"), "\n"))
	require.Contains(t, must("list", "--set-aside"), "too-large  the event is too large to store, says [31mTemporal")
	out, said, err := journalled(t, config, "list", "--set-aside", "--reason", "too-large", "--limit", "2", "--json")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(out, "\n"))
	require.Regexp(t, `^\{"id":1,"source":"b","workflow_id":"b:one","event_type":"push","appended_at":"20[^"]+","reason":"too-large","error":"[^"]+","set_aside_at":"20`, out)
	require.Equal(t, "There are more; --limit 2 left them out.\n", said)
	require.Equal(t, "No record fits.\n", must("list", "--set-aside", "--reason", "damaged"))

	shown := must("show", "b:two")
	require.Contains(t, shown, "set aside: too-large, for ")
	require.Contains(t, shown, "journal retry 2\n")
	require.NotContains(t, shown, "4111", "the payload is not printed")
	require.JSONEq(t, `{"card":"4111"}`, must("show", "b:two", "--payload"))
	require.Contains(t, must("show", "a:waits"), "waits for Temporal")
	_, _, err = journalled(t, config, "show", "b:four")
	require.ErrorContains(t, err, `the journal has no event "b:four"`)

	require.Equal(t, "1 event checked, 0 damaged.\n", must("verify"))
	require.Equal(t, "1 record put back.\n", must("retry", "2", "--yes"))
	require.Equal(t, "2 events checked, 0 damaged.\n", must("verify"))
	require.Equal(t, "1 record dropped.\n", must("drop", "3", "--yes"))
	out, said, err = journalled(t, config, "drop", "3", "1", "--yes")
	require.ErrorIs(t, err, command.ErrSilent)
	require.Equal(t, "1 record dropped, 1 failed.\n", out)
	require.Equal(t, "record 3: no such record is set aside\n", said)
	require.Equal(t, "0 records put back.\n", must("retry", "--all", "--yes"))
}

// TestJournalRepairAll puts more records back than a page holds, but those of the
// sources and reasons that were not meant.
func TestJournalRepairAll(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 4 {
		ids = append(ids, fmt.Sprint(i))
	}
	config := filled(t, ids...)
	db, err := store.Open(t.Context(), store.Options{SQLite: filepath.Join(filepath.Dir(config), "hookyard-journal.db")})
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "update journal_set_aside set reason = 'too-old' where id = 2")
	require.NoError(t, err)
	// The checksum is right for the first of these only.
	_, err = db.ExecContext(t.Context(), "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200) "+
		"insert into journal_set_aside (source, workflow_id, appended_at, is_json, header, payload, crc, size, reason, error, set_aside_at) "+
		"select source, workflow_id || '-' || i, appended_at, is_json, header, payload, crc, size, 'damaged', error, set_aside_at from journal_set_aside, n where id = 1")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	out, said, err := journalled(t, config, "retry", "--all", "--source", "b", "--reason", "damaged", "--yes")
	require.ErrorIs(t, err, command.ErrSilent)
	require.Equal(t, "0 records put back, 1200 failed.\n", out)
	require.Equal(t, 1200, strings.Count(said, "the bytes of this record are not those that were appended"))
	out, _, err = journalled(t, config, "drop", "--all", "--reason", "damaged", "--yes")
	require.NoError(t, err)
	require.Equal(t, "1200 records dropped.\n", out)
	out, _, err = journalled(t, config, "drop", "--all", "--source", "a", "--yes")
	require.NoError(t, err)
	require.Equal(t, "0 records dropped.\n", out)
	out, _, err = journalled(t, config, "retry", "--all", "--reason", "too-large", "--yes")
	require.NoError(t, err)
	require.Equal(t, "3 records put back.\n", out)
}

// TestJournalDamage finds a damaged event, and gets the rest out of the file.
func TestJournalDamage(t *testing.T) {
	t.Parallel()
	config := filled(t, "aside")
	folder := filepath.Dir(config)
	file := filepath.Join(folder, "hookyard-journal.db")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	aside, fresh := filepath.Join(folder, "moved.db"), filled(t)
	require.NoError(t, os.WriteFile(aside, whole, 0o600))
	out, _, err := journalled(t, fresh, "recover", aside)
	require.NoError(t, err)
	require.Equal(t, "0 events added, to be started; 1 known already.\nSet aside in that file, and not added: 1 record.\n", out)

	damaged := bytes.ReplaceAll(whole, []byte(`{"card":`), []byte(`{"cord":`))
	require.NotEqual(t, whole, damaged)
	require.NoError(t, os.WriteFile(file, damaged, 0o600))
	out, _, err = journalled(t, config, "verify")
	require.ErrorIs(t, err, command.ErrSilent)
	require.Equal(t, "damaged: a:waits, source a, record 2\n1 event checked, 1 damaged.\n", out)
	out, _, err = journalled(t, config, "show", "b:aside")
	require.NoError(t, err)
	require.Contains(t, out, "checksum     wrong")
	require.NotContains(t, out, "journal retry", "what is damaged cannot be put back")

	require.NoError(t, os.WriteFile(aside, damaged, 0o600))
	out, _, err = journalled(t, fresh, "recover", aside)
	require.ErrorContains(t, err, "lost: 1 damaged, up to 0 unreadable")
	require.Equal(t, "0 events added, to be started; 0 known already.\nSet aside in that file, and not added: 1 record.\n", out)
	require.NoError(t, os.WriteFile(aside, []byte("nothing of SQLite's"), 0o600))
	_, _, err = journalled(t, fresh, "recover", aside)
	require.Error(t, err)
}
