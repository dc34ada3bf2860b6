package measure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
)

// Peer is what Hookyard is compared with, as a process: the least program that
// does one part of its work.
type Peer struct {
	// Listen is where the server is, "" for none. It starts a Workflow for
	// whatever is posted or, with VerifySecret, verifies it and does nothing.
	Listen       string
	VerifySecret string
	// Database is the URL of a PostgreSQL. With it, what is verified is inserted
	// there.
	Database string
	// Client leads to Temporal.
	Client    client.Options
	TaskQueue string
	// Source is the first part of the Workflow Ids.
	Source string
	// Ledger is the SQLite file of the worker's Activity; "" for no worker.
	Ledger string
}

// Run serves until ctx ends.
func (p Peer) Run(ctx context.Context) error {
	if p.Database != "" {
		return p.serveHandwritten(ctx)
	}
	if p.VerifySecret != "" {
		return serve(ctx, p.Listen, verifyHandler([]byte(p.VerifySecret)))
	}
	c, err := client.DialContext(ctx, p.Client)
	if err != nil {
		return fmt.Errorf("temporal at %s: %w", p.Client.HostPort, err)
	}
	defer c.Close()
	if p.Ledger != "" {
		stop, err := startPlainWorker(ctx, c, p.TaskQueue, p.Ledger)
		if err != nil {
			return err
		}
		defer stop()
	}
	if p.Listen == "" {
		<-ctx.Done()
		return nil
	}
	return serve(ctx, p.Listen, startHandler(bareStarter{c, p.TaskQueue, p.Source}))
}

func serve(ctx context.Context, address string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// bareStarter calls Temporal as the edge does, with nothing around it.
type bareStarter struct {
	client            client.Client
	taskQueue, source string
}

var (
	sourceKey = temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute)
	typeKey   = temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute)
)

// start is the ceiling of every start: the same Workflow Id, Workflow Type,
// arguments, policies and Search Attributes as the edge's.
func (s bareStarter) start(ctx context.Context, ev event.Event, body []byte) error {
	_, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       ev.WorkflowID(),
		TaskQueue:                                s.taskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            ev.Source + " " + ev.Type + " " + ev.ID,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(sourceKey.ValueSet(ev.Source), typeKey.ValueSet(ev.Type)),
	}, ev.WorkflowType(), ev, converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)},
		Data:     body,
	}))
	if _, before := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); before {
		return nil // sent again after a start that was slow to answer
	}
	return err
}

func startHandler(s bareStarter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readAll(r)
		if err == nil {
			d := delivery{id: r.Header.Get(eventIDHeader), header: r.Header, body: body}
			err = s.start(r.Context(), d.event(s.source), body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

// verifyHandler is the ceiling of every edge that verifies, written by hand
// for Stripe alone.
func verifyHandler(secret []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readAll(r)
		if err == nil && !verified(secret, r.Header.Get("Stripe-Signature"), body) {
			err = errors.New("wrong signature")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	})
}

// verified leaves the timestamp's age out, which costs nothing to check.
func verified(secret []byte, header string, body []byte) bool {
	stamp, signature, ok := strings.Cut(header, ",v1=")
	given, err := hex.DecodeString(signature)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, strings.TrimPrefix(stamp, "t=")+".")
	_, _ = mac.Write(body) // a hash never fails
	return hmac.Equal(mac.Sum(nil), given)
}

// readAll reads a body into as many bytes as were announced, the cheapest way
// that there is.
func readAll(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > 2<<20 {
		return nil, fmt.Errorf("content length %d: want at most 2 MiB", r.ContentLength)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// startPlainWorker runs the ceiling of every Workflow with one step: one
// regular Activity, on a worker as the SDK makes it, with the same work as
// Hookyard's own does.
func startPlainWorker(ctx context.Context, c client.Client, taskQueue, file string) (stop func(), err error) {
	ledger, err := activities.OpenSQLite(ctx, file)
	if err != nil {
		return nil, err
	}
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(plainInvoicePaid, workflow.RegisterOptions{Name: providerName + "." + eventType})
	w.RegisterActivity(ledger)
	if err := w.Start(); err != nil {
		return nil, errors.Join(err, ledger.DB.Close())
	}
	return func() {
		w.Stop()
		_ = ledger.DB.Close() // what it took is written
	}, nil
}

// plainInvoice is what the step needs of the event.
type plainInvoice struct {
	Created int64 `json:"created"`
	Data    struct {
		Object struct {
			ID         string `json:"id"`
			Customer   string `json:"customer"`
			AmountPaid int64  `json:"amount_paid"`
			Currency   string `json:"currency"`
		} `json:"object"`
	} `json:"data"`
}

func plainInvoicePaid(ctx workflow.Context, ev event.Event, invoice plainInvoice) error {
	var ledger *activities.Ledger
	paid := invoice.Data.Object
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: stepTimeout})
	return workflow.ExecuteActivity(ctx, ledger.RecordPayment, activities.Payment{
		Key: ev.Key("RecordPayment"), Source: ev.Source, EventID: ev.ID,
		Invoice: paid.ID, Customer: paid.Customer, Amount: paid.AmountPaid, Currency: paid.Currency,
		PaidAt: time.Unix(invoice.Created, 0).UTC(),
	}).Get(ctx, nil)
}
