package activities

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/trace"
)

// LedgerOption is something to be done with every ledger that is opened with
// it.
type LedgerOption func(*ledgerOptions)

type ledgerOptions struct {
	traces trace.TracerProvider
}

// LedgerTraces gives each statement that is part of a trace a span with its
// text, in which values are marks such as $1. nil gives none.
func LedgerTraces(p trace.TracerProvider) LedgerOption {
	return func(o *ledgerOptions) { o.traces = p }
}

func chosen(options []LedgerOption) ledgerOptions {
	var o ledgerOptions
	for _, option := range options {
		option(&o)
	}
	return o
}

func (o ledgerOptions) open(driverName, dsn string) (*sql.DB, error) {
	if o.traces == nil {
		return sql.Open(driverName, dsn)
	}
	return otelsql.Open(driverName, dsn, o.spans()...)
}

func (o ledgerOptions) openDB(c driver.Connector) *sql.DB {
	if o.traces == nil {
		return sql.OpenDB(c)
	}
	return otelsql.OpenDB(c, o.spans()...)
}

func (o ledgerOptions) spans() []otelsql.Option {
	return []otelsql.Option{
		otelsql.WithTracerProvider(o.traces),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, OmitConnectorConnect: true,
			// The migration at the start is in nobody's trace.
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}),
		otelsql.WithSpanNameFormatter(func(_ context.Context, method otelsql.Method, query string) string {
			if verb, _, _ := strings.Cut(strings.TrimSpace(query), " "); verb != "" {
				return strings.ToUpper(verb)
			}
			return string(method)
		}),
	}
}
