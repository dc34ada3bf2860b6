-- One dialect serves SQLite and PostgreSQL: SQLite takes any type name, keeps
-- a timestamptz as text in UTC, and knows current_timestamp. A migration that
-- has been released is never edited; the next one gets the next number.

-- +goose Up

-- A payment that a provider reported, once.
create table ledger_payments (
    key         text        not null primary key, -- idempotency key: "<source>:<event id>:RecordPayment"
    source      text        not null,             -- the configured endpoint that took the event
    event_id    text        not null,             -- the provider's id of the event
    invoice     text        not null,             -- the provider's id of the invoice
    customer    text        not null,             -- the provider's id of the customer; '' if it sends none
    email       text        not null,             -- where the receipt goes; '' if unknown
    amount      bigint      not null,             -- in the currency's minor unit, as the provider counts it
    currency    text        not null,             -- ISO 4217 code, in the provider's case
    paid_at     timestamptz not null,             -- when the provider says it was paid; to the microsecond
    recorded_at timestamptz not null default current_timestamp,
    constraint ledger_payments_has_key      check (key <> ''),
    constraint ledger_payments_has_source   check (source <> ''),
    constraint ledger_payments_has_event_id check (event_id <> ''),
    constraint ledger_payments_has_currency check (currency <> ''),
    constraint ledger_payments_has_paid_at  check (paid_at > '1970-01-01')
);

-- An order that a provider reported, once.
create table ledger_orders (
    key         text        not null primary key, -- idempotency key: "<source>:<event id>:RecordOrder"
    source      text        not null,             -- the configured endpoint that took the event
    event_id    text        not null,             -- the provider's id of the event
    shop        text        not null,             -- the shop that it was placed in; '' if the provider does not say
    order_id    text        not null,             -- the provider's id of the order
    number      text        not null,             -- what people call the order ("#1001"); '' if it has none
    email       text        not null,             -- the buyer's; '' if unknown
    total       text        not null,             -- a decimal in major units, as sent ("199.00")
    currency    text        not null,             -- ISO 4217 code, in the provider's case
    created_at  timestamptz not null,             -- when the provider says it was placed; to the microsecond
    recorded_at timestamptz not null default current_timestamp,
    constraint ledger_orders_has_key        check (key <> ''),
    constraint ledger_orders_has_source     check (source <> ''),
    constraint ledger_orders_has_event_id   check (event_id <> ''),
    constraint ledger_orders_has_order_id   check (order_id <> ''),
    constraint ledger_orders_has_currency   check (currency <> ''),
    constraint ledger_orders_has_created_at check (created_at > '1970-01-01')
);
