package operate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/sjson"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// amendOptions are the flags of amend.
type amendOptions struct {
	file    string
	sets    []string
	same    bool
	by, why string
}

func amendCommand(env command.Env) *cobra.Command {
	var o amendOptions
	cmd := &cobra.Command{
		Use:   "amend ID",
		Short: "Correct the payload of a parked run and start it over",
		Long: `Correct the payload of a parked run and start its Workflow over with it, under
the same Workflow Id. Every step runs again, with the same idempotency keys.

--same starts over with the payload as it is: every step runs again, and nothing
of what was resolved by hand is kept. It is the way out where that was wrong.

Without --file, --set and --same, the payload is opened in $VISUAL or $EDITOR; JSON on
one line is laid out over several, and becomes one line again. A payload that does not fit the Workflow is refused, and the run
stays as it is.

--set takes a path and a value, PATH=VALUE. The value is JSON where it reads as
JSON, else a text: amount=12 sets a number, name=Ada a text, and zip='"01234"'
a text that looks like a number. A path names keys and, counted from 0, places
in lists, as in data.items.0.price; a dot in a key is written \. and all that is
not named stays as it is, byte for byte.`,
		Example: "  hookyard amend stripe:evt_1\n  hookyard amend stripe:evt_1 --set data.object.customer_email=ada@example.com --why \"a typo\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.file != "" && len(o.sets) > 0) || (o.same && (o.file != "" || len(o.sets) > 0)) {
				return command.Usage(errors.New("give one of --file, --set and --same"))
			}
			if err := checkSets(o.sets); err != nil {
				return err
			}
			return amend(cmd.Context(), env, o, args[0])
		},
	}
	cmd.Flags().StringVar(&o.file, "file", "", "the corrected payload, byte for byte but for a line break at the end of JSON; - for standard input")
	cmd.Flags().BoolVar(&o.same, "same", false, "start over with the payload as it is")
	cmd.Flags().StringArrayVar(&o.sets, "set", nil, "PATH=VALUE: change one field; may be repeated")
	byFlags(cmd, env, &o.by, &o.why)
	return cmd
}

func amend(ctx context.Context, env command.Env, opts amendOptions, id string) error {
	byEditor := opts.file == "" && len(opts.sets) == 0 && !opts.same
	if byEditor && !command.IsTerminal(env.Stdin) {
		return command.Usage(errors.New("standard input is no terminal, so no editor can be opened; give --file, --set or --same"))
	}
	o, err := newOperator(ctx, env)
	if err != nil {
		return err
	}
	defer o.close()
	o.by, o.why = opts.by, opts.why
	r, err := o.describe(ctx, id)
	if err != nil {
		return err
	}
	if err := needParked(r, ""); err != nil {
		return err
	}
	events, err := o.history(ctx, r.ID, r.RunID)
	if err != nil {
		return err
	}
	_, stored, err := o.eventOf(ctx, events)
	if err != nil {
		return fmt.Errorf("run %q: %w", r.ID, err)
	}
	current := stored.GetData()
	if byEditor {
		return amendInEditor(ctx, env, o, r, current)
	}
	corrected, err := correct(env, opts, current)
	if err != nil {
		return err
	}
	said, err := o.amend(ctx, r, corrected)
	if _, ok := errors.AsType[rejected](err); ok {
		return fmt.Errorf("not taken, and run %q stays as it is: %w", r.ID, err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: amended: %s\n", r.ID, said)
	return err
}

// errUnchanged ends an amendment that amends nothing.
var errUnchanged = errors.New("nothing changed: that is the payload that the run has; to try it again as it is, resume it, or start it over with --same")

// correct returns the payload that the flags ask for.
func correct(env command.Env, opts amendOptions, current []byte) ([]byte, error) {
	var (
		corrected []byte
		err       error
	)
	switch {
	case opts.same:
		return current, nil
	case opts.file == "":
		corrected, err = setAll(current, opts.sets, env.Stdout)
	case opts.file == "-":
		corrected, err = io.ReadAll(env.Stdin)
	default:
		corrected, err = os.ReadFile(opts.file)
	}
	if err != nil {
		return nil, err
	}
	if corrected = withoutLineBreak(corrected, current); bytes.Equal(corrected, current) {
		return nil, errUnchanged
	}
	return corrected, nil
}

// withoutLineBreak cuts the line breaks that editors put at the end of a JSON
// text, unless the payload before had one: they would make it base64.
func withoutLineBreak(corrected, current []byte) []byte {
	if !json.Valid(corrected) || bytes.HasSuffix(current, []byte("\n")) {
		return corrected
	}
	return bytes.TrimRight(corrected, "\r\n")
}

// rejected is an amendment that the run did not take, with its reason.
type rejected struct{ error }

const (
	// mostInput is what Temporal takes as the input of an Update, with room for
	// what travels with it.
	mostInput = 2<<20 - 16<<10
)

// tooLarge returns what Temporal would say, after 20 s, about a payload that it
// cannot take.
func tooLarge(payload []byte, input any, stored bool) error {
	switch {
	case stored && len(payload) > config.MaxBodyLimit:
		return fmt.Errorf("the payload has %d bytes, and a delivery has %d at most", len(payload), config.MaxBodyLimit)
	case stored:
		return nil
	case len(payload) > config.MaxInHistory:
		return fmt.Errorf("the payload has %d bytes, and Temporal stores %d at most; with a payload_store there is room for more", len(payload), config.MaxInHistory)
	}
	encoded, err := converter.GetDefaultDataConverter().ToPayloads(input)
	if err != nil || proto.Size(encoded) <= mostInput {
		return err
	}
	return fmt.Errorf("the payload of %d bytes is not JSON, so it is sent as base64, and no more than %d bytes of it fit; put it where the Workflow can fetch it, or discard the run and have the provider send the event again",
		len(payload), mostInput/4*3)
}

// amend sends the payload and waits until the run has taken it or not.
func (o *operator) amend(ctx context.Context, r eventrun.Run, payload []byte) (said string, err error) {
	input, err := amendment(payload, o.by, o.why)
	if err != nil {
		return "", err
	}
	if err := tooLarge(payload, input, o.payloads.Store != nil); err != nil {
		return "", rejected{err}
	}
	const patience = 30 * time.Second
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	handle, err := o.client.UpdateWorkflow(waiting, client.UpdateWorkflowOptions{
		WorkflowID:   r.ID,
		RunID:        r.RunID, // the one that was looked at
		UpdateName:   event.UpdateAmend,
		Args:         []any{input},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(waiting, &said)
	}
	var (
		refusal *temporal.ApplicationError
		late    *client.WorkflowUpdateServiceTimeoutOrCanceledError
	)
	switch {
	case err == nil:
		return said, nil
	case errors.As(err, &refusal):
		return "", rejected{errors.New(refusal.Message())}
	case ctx.Err() != nil:
		return "", ctx.Err()
	case waiting.Err() != nil, errors.As(err, &late):
		return "", fmt.Errorf("no worker has answered within %s; is `hookyard serve` running? A worker that starts now may still take it, so look with `%s parked show %s` before it is sent again",
			patience, command.Invocation(), r.ID)
	default:
		return "", fmt.Errorf("run %q: %w", r.ID, err)
	}
}

// amendment is the update's argument, which holds the payload byte for byte:
// where it can be, as JSON that reads as such in the Web UI. It is put together
// here because encoding/json would lay the payload out anew.
func amendment(payload []byte, by, why string) (any, error) {
	if !json.Valid(payload) || len(bytes.TrimSpace(payload)) != len(payload) {
		return parking.Amend{Base64: base64.StdEncoding.EncodeToString(payload), By: by, Why: why}, nil
	}
	rest, err := json.Marshal(parking.Amend{By: by, Why: why})
	if err != nil {
		return nil, err
	}
	whole, err := sjson.SetRawBytes(rest, "payload", payload)
	if err != nil {
		return nil, err
	}
	return ingest.Payload(whole, true), nil
}
