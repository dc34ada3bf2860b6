package operate

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func decodedBase64(t *testing.T, text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return data
}

// requirePrintable requires text that cannot steer a terminal.
func requirePrintable(t *testing.T, text string) {
	require.True(t, utf8.ValidString(text), "%q", text)
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q is in %q", r, text)
	}
}

// payloadOf is a value as the SDK stores it.
func payloadOf(t testing.TB, value any) *commonpb.Payload {
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

// FuzzPage looks for words of a sender, of a service or of a person that reach
// the terminal of whoever looks at a parked run in another form than as text.
func FuzzPage(f *testing.F) {
	f.Add("evt_1", "invoice.paid", "application/json", "POST https://h: 500", "ada", "a typo", []byte(`{"a":1}`))
	f.Add("\x1b[2J", "a\x1b]0;x\a", "\u009b31m", "\x1b[1A\r\u202e", "a\nrun  forged", "\b\b", []byte("{\"a\":\"\x7f\u009b\"}"))
	f.Add("\xff", "\u2028", "\t", "```\xc2", "", "", []byte("a\r\nb\x1bc"))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, id, eventType, contentType, said, by, why string, payload []byte) {
		ev := event.Event{Source: "stripe", Provider: "stripe", ID: id, Type: eventType, ContentType: contentType, ReceivedAt: at}
		failure := &failurepb.Failure{Message: said, Source: why, StackTrace: said, FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
			ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: eventType}}}
		events := []*historypb.HistoryEvent{
			{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
				WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{
					Input: &commonpb.Payloads{Payloads: []*commonpb.Payload{payloadOf(t, ev), {Data: payload}}}}}},
			{EventId: 5, EventType: enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, Attributes: &historypb.HistoryEvent_ActivityTaskScheduledEventAttributes{
				ActivityTaskScheduledEventAttributes: &historypb.ActivityTaskScheduledEventAttributes{ActivityType: &commonpb.ActivityType{Name: "Step"}}}},
			{EventType: enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED, Attributes: &historypb.HistoryEvent_ActivityTaskFailedEventAttributes{
				ActivityTaskFailedEventAttributes: &historypb.ActivityTaskFailedEventAttributes{ScheduledEventId: 5, Failure: failure}}},
			{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
				WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: event.SignalResume, Identity: why,
					Input: &commonpb.Payloads{Payloads: []*commonpb.Payload{payloadOf(t, parking.Resume{Step: said, By: by, Why: why})}}}}},
		}
		run := eventrun.Run{ID: event.WorkflowID("stripe", id), RunID: "run", WorkflowType: ev.WorkflowType(), Source: "stripe", EventType: eventType,
			Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
			Steps:  []parking.Step{{Name: "Step", Reason: event.ReasonFailed, Error: said, Since: at}, {Name: "Other", Error: said, Since: at}}}
		stored, body, err := eventOf(events)
		require.NoError(t, err)
		shown := page{run: run, event: stored, payload: body, events: events, deeds: deeds(events), now: at}.String()
		requirePrintable(t, shown)
		require.Equal(t, 1, strings.Count("\n"+shown, "\nrun  "), "a line of it is forged: %q", shown)

		var table bytes.Buffer
		require.NoError(t, printWide(&table, []eventrun.Run{run}, at))
		requirePrintable(t, table.String())
		require.Equal(t, 3, strings.Count(table.String(), "\n"), "a line of it is forged: %q", table.String())

		table.Reset()
		require.NoError(t, printGroups(&table, grouped([]eventrun.Run{run}), 60, at))
		requirePrintable(t, table.String())
		require.LessOrEqual(t, strings.Count(table.String(), "\n"), 5, "a line of it is forged: %q", table.String())
	})
}

// FuzzHistory reads histories and descriptions of runs that no worker of ours
// has written. Nothing of it may break a command.
func FuzzHistory(f *testing.F) {
	files, err := filepath.Glob("../../tests/histories/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	memo := &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{
		event.ParkedMemo: payloadOf(f, parking.Parked{Steps: []parking.Step{{Name: "A#2", Error: "\x1b"}}})}}}
	info, err := proto.Marshal(memo)
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		var history historypb.History
		require.NoError(f, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, &history))
		wire, err := proto.Marshal(&history)
		require.NoError(f, err)
		f.Add(wire, info)
	}
	f.Fuzz(func(t *testing.T, wire, info []byte) {
		var history historypb.History
		var described workflowpb.WorkflowExecutionInfo
		if proto.Unmarshal(wire, &history) != nil || proto.Unmarshal(info, &described) != nil {
			return
		}
		events, run := history.GetEvents(), eventrun.New(&described)
		for _, d := range deeds(events) {
			requirePrintable(t, d.String())
			require.NotContains(t, d.String(), "\n")
		}
		for _, name := range append(stepsIn(events), run.StepNames()...) {
			lastError(events, name)
			_, _ = stepPoint(events, name)
			activityType(name)
		}
		_, _ = startPoint(events)
		closedAs(events)
		resetFrom(events)
		resolvedAfter(events, 1)
		signalID(run, event.SignalResume, nil)
		require.True(t, run.StillAs(run))
		if ev, payload, err := eventOf(events); err == nil {
			_ = page{run: run, event: ev, payload: payload, events: events, deeds: deeds(events), now: time.Unix(0, 0)}.String()
		}
	})
}

// FuzzPlainLine looks for text that is longer than one line of the length it
// was cut to.
func FuzzPlainLine(f *testing.F) {
	f.Add("a\nb", 80)
	f.Add("\x1b[31m\u009b\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 1 + int(uint(most)%500)
		got := command.PlainLine(text, most)
		requirePrintable(t, got)
		require.NotContains(t, got, "\n")
		require.LessOrEqual(t, utf8.RuneCountInString(got), most)
	})
}

// FuzzQuery looks for a filter that asks Temporal something else than it says.
func FuzzQuery(f *testing.F) {
	f.Add("stripe-eu", "invoice.paid")
	f.Add(`a" OR "1" = "1`, `a\" OR`)
	f.Add(`\`, "a'\x00*")
	f.Fuzz(func(t *testing.T, source, eventType string) {
		query := filter{source: source, eventType: eventType}.query()
		want := []string{"HookState", "parked", "ExecutionStatus", "Running"}
		if source != "" {
			want = append(want, "HookSource", source)
		}
		if eventType != "" && !strings.Contains(eventType, "*") {
			want = append(want, "HookEventType", eventType)
		}
		require.Empty(t, cmp.Diff(want, comparisons(t, query)))
	})
}

// comparisons reads a query of the form `A = "x" AND B = "y"` and returns A,
// x, B and y. A backslash takes the next byte, as in the server's lexer.
func comparisons(t *testing.T, query string) (read []string) {
	for rest := query; ; {
		name, after, ok := strings.Cut(rest, ` = "`)
		require.True(t, ok, "%q in %q", rest, query)
		require.Regexp(t, `^[A-Za-z]+$`, name)
		var value []byte
		i := 0
		for ; i < len(after) && after[i] != '"'; i++ {
			if after[i] == '\\' {
				i++
				require.Contains(t, `\"`, after[i:i+1], "another escape means another byte")
			}
			value = append(value, after[i])
		}
		require.Less(t, i, len(after), "a text without an end in %q", query)
		read = append(read, name, string(value))
		if rest = after[i+1:]; rest == "" {
			return read
		}
		rest, ok = strings.CutPrefix(rest, " AND ")
		require.True(t, ok, "%q in %q", rest, query)
	}
}
