-- migrate:up
create schema if not exists intake;

-- One row per e-mail that passed the skip rules: for duplicates, threads and sender limits.
-- No text of any e-mail is kept here.
create table intake.mails (
    mail_id uuid primary key,
    -- the event that brought it: its redelivery gets the same outcome again
    event_id uuid not null,
    mailbox text not null,
    message_id text not null,
    thread_id uuid not null,
    sender_sha256 text not null,
    received timestamptz not null,
    outcome text not null check (outcome in ('accepted', 'limit'))
);
create index mails_message on intake.mails (mailbox, message_id) where message_id <> '';
create index mails_sender on intake.mails (mailbox, sender_sha256, received);

-- migrate:down
drop table intake.mails;
