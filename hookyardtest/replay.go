package hookyardtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// RecordVariable is the environment variable that has Replay record a history
// first. Its value is the run's Workflow Id.
const RecordVariable = "HOOKYARD_RECORD"

// ConfigVariable is the environment variable with the path of the config file,
// whose encryption and payload_store a recording needs; without them it needs
// none.
const ConfigVariable = "HOOKYARD_CONFIG"

// Replay runs today's Workflows over the histories of earlier runs: each *.json
// file in the folder is a test of its own. One that fails names a run that
// would be stuck after a deploy: make the change with workflow.GetVersion.
//
// To record the history of a run, start `dev`, send the event, and name the
// Workflow Id:
//
//	HOOKYARD_RECORD=stripe:evt_1 go test -run TestReplay ./...
//
// It is read from the Temporal that the variables and profile of Temporal's own
// tools name; the default is that of `dev`, 127.0.0.1:7233. The file is named
// for the Workflow Id. One that is there already is not written again: that
// older histories replay is what they are for. It holds the payload of the event,
// decrypted: set HOOKYARD_CONFIG to a config with encryption or a payload_store.
func Replay(t *testing.T, app hookyard.App, folder string) {
	t.Helper()
	if id := os.Getenv(RecordVariable); id != "" {
		file, err := record(t.Context(), id, folder)
		if err != nil {
			t.Fatalf("record the history of %q: %v", id, err)
		}
		t.Logf("recorded %s", file)
	}
	files, err := histories(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if err := replay(app, file); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func histories(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("folder %q holds no history (*.json): start `dev`, send an event, and run this test with %s=<source>:<event id>", folder, RecordVariable)
	}
	return files, err
}

func replay(app hookyard.App, file string) error {
	replayer, err := sdkworker.NewWorkflowReplayerWithOptions(sdkworker.WorkflowReplayerOptions{
		Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{
			Parking: parking.Options{Fits: worker.Fits(app.Workflows)}, // a replay does not compare policies
		})},
	})
	if err != nil {
		return err
	}
	if err := worker.Register(replayer, app.Workflows); err != nil {
		return err
	}
	if err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet(), file); err != nil {
		return fmt.Errorf("%s does not replay; make the change with workflow.GetVersion, so that open runs go on: %w", file, err)
	}
	return nil
}

// unsafeInNames are the characters that a file's name is kept free of.
var unsafeInNames = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// record writes the history of the run's last run to the folder.
func record(ctx context.Context, id, folder string) (file string, err error) {
	file = filepath.Join(folder, unsafeInNames.ReplaceAllString(id, "_")+".json")
	if _, err := os.Stat(file); err == nil { //nolint:gosec // the test names the folder, and the name has no slash
		return "", fmt.Errorf("%s is there already; remove it, or send another event", file)
	}
	env := command.Env{Vars: os.Environ()}
	options, err := command.ClientOptions(env, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	payloads, err := command.FindPayloads(ctx, os.Getenv(ConfigVariable), env)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, payloads.Close()) }()
	if err := payloads.Wire(&options); err != nil {
		return "", err
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return "", fmt.Errorf("%w; is `dev` running?", err)
	}
	defer c.Close()
	var whole historypb.History
	pages := c.GetWorkflowHistory(ctx, id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		e, err := pages.Next()
		if err != nil {
			return "", err
		}
		whole.Events = append(whole.Events, e)
	}
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: "  "}.Marshal(&whole)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	return file, os.WriteFile(file, append(data, '\n'), 0o600) //nolint:gosec // as above
}

// quiet is a logger that drops everything.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
