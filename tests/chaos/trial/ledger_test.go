package trial

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// newTestLedger has the table that a worker makes.
func newTestLedger(t *testing.T) *sqliteLedger {
	l := &sqliteLedger{path: filepath.Join(t.TempDir(), "ledger.db")}
	db, err := l.open()
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `pragma journal_mode = wal;
create table ledger_payments (key text primary key, source text, event_id text);
insert into ledger_payments values ('1', 'payments', 'evt_1'), ('2', 'payments', 'evt_2'), ('3', 'payments', 'evt_2')`)
	require.NoError(t, err)
	return l
}

func TestLedgerCanBeReadAndNotWritten(t *testing.T) {
	t.Parallel()
	l := newTestLedger(t)
	db, err := l.open()
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(t.Context(), "pragma busy_timeout = 50")
	require.NoError(t, err)

	end, err := l.begin(t.Context(), Fault{Kind: ReadOnly})
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "insert into ledger_payments values ('4', '', '')")
	require.ErrorContains(t, err, "database is locked")
	rows, err := l.rows(t.Context())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string]int{"payments:evt_1": 1, "payments:evt_2": 2}, rows))

	require.NoError(t, end(t.Context()))
	_, err = db.ExecContext(t.Context(), "insert into ledger_payments values ('4', '', '')")
	require.NoError(t, err)
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the limit of another process can be set on Linux only")
	}
	for name, full := range map[string]bool{"full": true, "again with room": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "file")
			worker := exec.CommandContext(t.Context(), "sh", "-c", `read go; echo text > "$1"`, "sh", file)
			stdin, err := worker.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, worker.Start())
			l := &sqliteLedger{workers: func() []int { return []int{worker.Process.Pid} }}
			end, err := l.begin(t.Context(), Fault{Kind: DiskFull})
			require.NoError(t, err)
			if !full {
				require.NoError(t, end(t.Context()))
			}
			_, err = stdin.Write([]byte("go\n"))
			require.NoError(t, err)
			if err = worker.Wait(); full {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, end(t.Context()), "a process that has ended needs no room")
		})
	}
}
