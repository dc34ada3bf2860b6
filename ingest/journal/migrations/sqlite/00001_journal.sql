-- +goose Up

-- An event that was acknowledged and that Temporal does not have yet.
create table journal (
    seq         integer primary key autoincrement, -- never used again: a delete that is repeated meets no other record
    source      text    not null,
    workflow_id text    not null unique,
    appended_at bigint  not null, -- microseconds since 1970
    is_json     boolean not null,
    header      bytea   not null, -- event.Event as JSON
    payload     bytea   not null, -- as it was signed
    crc         bigint  not null, -- CRC-32C of the columns from source to payload
    size        bigint  not null  -- bytes of header and payload
);
create index journal_by_source on journal (source, seq, size);

-- An event that the drain does not start by itself, and why.
create table journal_set_aside (
    id          integer primary key autoincrement,
    source      text    not null,
    workflow_id text    not null,
    appended_at bigint  not null,
    is_json     boolean not null,
    header      bytea   not null,
    payload     bytea   not null,
    crc         bigint  not null,
    size        bigint  not null,
    reason      text    not null, -- one of a few words
    error       text    not null,
    set_aside_at bigint not null
);
