-- +goose Up
create table send_endpoints (
    id            text   not null primary key,
    tenant        text   not null,
    settings      text   not null, -- JSON: what the owner has set, less the headers
    headers       bytea  not null, -- sealed JSON: custom headers may be credentials
    state         text   not null, -- pending, active, failing, disabled
    why           text   not null,
    told          text   not null, -- the state that people were told of last
    verified_at   bigint not null, -- 0 for never
    failing_since bigint not null, -- the first failure in a row; 0 for none
    failures      bigint not null, -- in a row
    created_at    bigint not null,
    updated_at    bigint not null,
    request_key   text,            -- the Idempotency-Key of its creation
    request_hash  text   not null,
    unique (tenant, request_key)
);

create index send_endpoints_tenant on send_endpoints (tenant, id);

create table send_secrets (
    endpoint    text   not null,
    number      bigint not null, -- counted up: the highest is in use
    scheme      text   not null,
    secret      bytea  not null, -- sealed
    valid_until bigint not null, -- 0 while it is in use
    primary key (endpoint, scheme, number)
);

create table send_messages (
    tenant       text    not null,
    id           text    not null,
    type         text    not null,
    content_type text    not null,
    body         bytea   not null,
    hash         text    not null, -- SHA-256 of type, content type and body
    created_at   bigint  not null,
    started      boolean not null, -- its deliveries are started, or a Workflow that starts them is
    primary key (tenant, id)
);

create index send_messages_created on send_messages (tenant, created_at, id);
create index send_messages_waiting on send_messages (started, created_at);

-- +goose Down
drop table send_messages;
drop table send_secrets;
drop table send_endpoints;
