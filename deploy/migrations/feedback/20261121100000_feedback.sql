-- migrate:up
create schema if not exists feedback;

create table feedback.mails (
    mail_id uuid primary key,
    mailbox text not null,
    thread_id uuid,
    message_id text not null default '',
    sender text not null default '',
    sender_name text not null default '',
    subject text not null default '',
    received timestamptz not null,
    accepted boolean not null default false,
    -- pending until generate or ingest has decided
    outcome text not null check (outcome in ('pending', 'draft', 'declined', 'skipped')),
    reason text not null default '',
    detail text not null default '',
    draft_id uuid,
    decided timestamptz,
    block jsonb
);
create index mails_thread on feedback.mails (thread_id, received) where thread_id is not null;

create table feedback.drafts (
    draft_id uuid primary key,
    mail_id uuid not null references feedback.mails (mail_id) on delete cascade,
    mailbox text not null,
    outcome text not null check (outcome in ('draft', 'declined')),
    status text not null
        check (status in ('waiting', 'approved', 'edited', 'rejected', 'withdrawn')),
    status_detail text not null default '',
    request_id integer not null,
    text text not null,
    evidence double precision not null,
    engine text not null,
    created timestamptz not null,
    -- documents among the draft's sources
    cited uuid[] not null,
    traceparent text,
    data jsonb not null
);
create index drafts_list on feedback.drafts (mailbox, created desc, draft_id desc);
create index drafts_waiting on feedback.drafts (created) where status = 'waiting';
create index drafts_mail on feedback.drafts (mail_id);
create index drafts_cited on feedback.drafts using gin (cited) where status = 'waiting';

create table feedback.passages (
    draft_id uuid not null references feedback.drafts (draft_id) on delete cascade,
    rank integer not null,
    passage_id uuid not null,
    document_id uuid not null,
    data jsonb not null,
    primary key (draft_id, rank)
);
create index passages_document on feedback.passages (document_id);

create table feedback.documents (
    document_id uuid primary key,
    state text not null check (state in ('indexed', 'rejected', 'removed')),
    collection text not null,
    name text not null default '',
    title text not null default '',
    url text,
    audience text not null default 'public',
    submitted timestamptz not null,
    sha256 text not null default '',
    chunks integer not null default 0,
    code text not null default '',
    detail text not null default ''
);

create table feedback.reviews (
    review_id uuid primary key,
    draft_id uuid not null unique references feedback.drafts (draft_id) on delete cascade,
    decision text not null check (decision in ('approved', 'edited', 'rejected')),
    created timestamptz not null,
    data jsonb not null
);

create table feedback.outbox (
    position bigint generated always as identity primary key,
    event_id uuid not null unique,
    type text not null,
    event text not null,
    said_at timestamptz,
    refused text
);
create index outbox_pending on feedback.outbox (position)
    where said_at is null and refused is null;

-- migrate:down
drop schema feedback cascade;
