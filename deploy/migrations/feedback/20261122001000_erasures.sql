-- migrate:up
-- E-mails that are to be forgotten, also when they, or their drafts, come only later: by id, or
-- those of a sender (SHA-256 of the lower-cased address) received up to `at`.
create table feedback.erasures (
    event_id uuid not null,
    mail_id uuid,
    sender_sha256 text,
    at timestamptz not null,
    unique nulls not distinct (event_id, mail_id, sender_sha256),
    check ((mail_id is null) <> (sender_sha256 is null))
);
create index erasures_mail on feedback.erasures (mail_id);
create index erasures_sender on feedback.erasures (sender_sha256);

alter table feedback.mails add column erased timestamptz;

-- migrate:down
alter table feedback.mails drop column erased;
drop table feedback.erasures;
