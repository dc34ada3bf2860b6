package trial

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Parallel()
	r := &Report{
		Seed: 7, On: "SQLite", Duration: 15 * time.Second, Sent: 500, Deliveries: 1666, Acknowledged: 499, Missing: 1,
		Workflows: Range{0, 1}, Effects: Range{1, 1}, Rows: 260, Mails: 260, Forwards: 150, Builds: 90, Repeated: 9,
		Kills: map[string]int{"worker": 1, "edge": 2}, EndedItself: map[string]int{"worker-1": 1},
		Faults:    []Applied{{Fault: Fault{Kind: DiskFull, Target: "ledger", For: time.Second}, Err: "on Linux only"}, {}},
		Delivered: 7634 * time.Millisecond, Recovered: 13 * time.Second,
		Parked: []ParkedGroup{
			{Step: "RecordPayment", Reason: "exhausted", Causes: []Kind{DiskFull, ReadOnly}, Count: 12},
			{Step: "ForwardEvent", Reason: "permanent", Count: 1, Error: "POST: 404"},
		},
	}
	for range mostBroken + 2 {
		r.breaks("%s is lost", "evt_1")
	}
	var table strings.Builder
	require.NoError(t, r.Table(&table))
	require.Equal(t, `seed 7, 2 faults in 15s, Temporal on SQLite

     500  sent                        in 1666 deliveries
     499  acknowledged
       1  acknowledged but missing
  0 to 1  Workflows per event
       1  effects per event           260 ledger rows, 260 mails, 150 forwards, 90 builds; 9 calls repeated under their key
      13  steps parked                1 of them not explained by any fault
       3  kills                       edge 2, worker 1
       1  ended by themselves         worker-1 1
    7.6s  until all was acknowledged  after the last fault
     13s  until all was completed     after the last fault
  parked: 12 RecordPayment, exhausted: disk full, read-only
  parked: 1 ForwardEvent, permanent: NOTHING EXPLAINS IT: POST: 404
  not possible: disk full ledger for 1s: on Linux only
`+strings.Repeat("  BROKEN: evt_1 is lost\n", mostBroken)+"  BROKEN: and 2 more\n", table.String())

	var said strings.Builder
	require.NoError(t, r.JSON(&said))
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(said.String()), &fields))
	require.EqualValues(t, 1, fields["acknowledged_but_missing"])
	require.EqualValues(t, mostBroken+2, fields["broken_count"])
}
