-- migrate:up
-- The [n] of documents that an agent added; kept with the review, as the passages are.
alter table feedback.edits add column numbers jsonb not null default '{}';
alter table feedback.reviews
    add column added jsonb not null default '[]',
    add column numbers jsonb not null default '{}';

-- The reply as it was approved, for mail systems that fetch it.
alter table feedback.replies add column data jsonb;
create index replies_approved on feedback.replies (approved, reply_id) where state = 'approved';
create index mails_message on feedback.mails (mailbox, message_id) where message_id <> '';

-- What mail systems say of e-mails that were not heard of yet; it finds them when they come.
create table feedback.unmatched (
    event_id uuid primary key,
    mailbox text not null,
    mail_id uuid,
    in_reply_to text,
    heard timestamptz not null,
    event text not null
);
create index unmatched_mail on feedback.unmatched (mail_id);
create index unmatched_answered on feedback.unmatched (mailbox, in_reply_to);

-- A lock has its draft's mailbox; one that is given back is told too, a renewed one is not.
create or replace function feedback.tell() returns trigger language plpgsql as $$
declare
    told jsonb := coalesce(to_jsonb(new), to_jsonb(old));
    id text := told ->> case tg_argv[0] when 'draft' then 'draft_id' when 'mail' then 'mail_id'
        when 'lock' then 'draft_id' when 'reply' then 'draft_id' else 'document_id' end;
begin
    perform pg_notify('feedback', json_build_object('kind', tg_argv[0], 'id', id, 'mailbox',
        case when tg_argv[0] = 'lock'
             then (select mailbox from feedback.drafts where draft_id = id::uuid)
             else told ->> 'mailbox' end)::text);
    return null;
end $$;
drop trigger locks_tell on feedback.locks;
create trigger locks_tell after insert or delete on feedback.locks
    for each row execute function feedback.tell('lock');
create trigger locks_taken_tell after update on feedback.locks
    for each row when (old.account <> new.account) execute function feedback.tell('lock');
create trigger replies_tell after insert or update of state on feedback.replies
    for each row execute function feedback.tell('reply');

-- migrate:down
drop trigger replies_tell on feedback.replies;
drop trigger locks_taken_tell on feedback.locks;
drop trigger locks_tell on feedback.locks;
create or replace function feedback.tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('feedback', json_build_object('kind', tg_argv[0],
        'id', case tg_argv[0] when 'draft' then to_jsonb(new) ->> 'draft_id'
              when 'mail' then to_jsonb(new) ->> 'mail_id'
              when 'lock' then to_jsonb(new) ->> 'draft_id'
              else to_jsonb(new) ->> 'document_id' end,
        'mailbox', to_jsonb(new) ->> 'mailbox')::text);
    return null;
end $$;
create trigger locks_tell after insert or update on feedback.locks
    for each row execute function feedback.tell('lock');
drop table feedback.unmatched;
drop index feedback.mails_message, feedback.replies_approved;
alter table feedback.replies drop column data;
alter table feedback.reviews drop column numbers, drop column added;
alter table feedback.edits drop column numbers;
