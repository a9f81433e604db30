-- migrate:up
create schema if not exists bridge;

-- Since when the bridge sends for a mailbox: what was approved before may have left another way.
create table bridge.senders (
    mailbox text primary key,
    since timestamptz not null
);

-- One row per reply from just before DATA on. 'intended' without a living sender is a crash.
create table bridge.sends (
    reply_id uuid primary key,
    mailbox text not null,
    message_id text not null,
    state text not null check (state in ('intended', 'sent', 'drafted', 'failed', 'doubtful')),
    why text not null default '',
    changed timestamptz not null,
    -- tells one intention from another
    attempt uuid
);

-- How far each IMAP folder was read.
create table bridge.mailboxes (
    mailbox text not null,
    account text not null,
    folder text not null,
    uid_validity bigint not null,
    uid bigint not null,
    -- e-mails from before this day are not ours; null: all are
    since date,
    primary key (mailbox, account, folder)
);

-- migrate:down
drop table bridge.mailboxes;
drop table bridge.sends;
drop table bridge.senders;
