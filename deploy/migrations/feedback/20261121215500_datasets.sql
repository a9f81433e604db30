-- migrate:up
-- Exports under way and ended, told by the program that makes them (services/feedback/export.py).
create table feedback.exports (
    export_id uuid primary key,
    account text not null,
    -- null: of all mailboxes
    mailboxes text[],
    wish jsonb not null,
    state text not null check (state in ('running', 'done', 'failed')),
    stage text not null default '',
    done bigint not null default 0,
    total bigint not null default 0,
    version integer,
    why text not null default '',
    started timestamptz not null,
    -- when its program last said that it lives
    seen timestamptz not null
);
create index exports_started on feedback.exports (started desc);

-- migrate:down
drop table feedback.exports;
