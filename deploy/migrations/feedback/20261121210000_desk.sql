-- migrate:up
-- What the desk filters and counts by, beside the mail block and the draft's data.
alter table feedback.mails
    add column category text,
    add column language text,
    add column raw_key text;
update feedback.mails set category = block ->> 'category', language = block ->> 'language',
    raw_key = block ->> 'raw_key' where block is not null;
create index mails_list on feedback.mails (outcome, mailbox, received desc, mail_id desc);

alter table feedback.drafts
    add column category text,
    -- model, prompt, embedding and retrieval that made it, separated by " · "
    add column pipeline text not null default '',
    -- cited documents of which a newer version came after the draft
    add column outdated uuid[] not null default '{}';
update feedback.drafts d set category = m.category,
    pipeline = concat_ws(' · ', d.data #>> '{fingerprints,model}', d.data #>> '{fingerprints,prompt}',
        d.data #>> '{fingerprints,embedding}', d.data #>> '{fingerprints,retrieval}')
    from feedback.mails m where m.mail_id = d.mail_id;
create index drafts_queue on feedback.drafts (status, mailbox, created desc, draft_id desc);

alter table feedback.drafts drop constraint drafts_status_check;
alter table feedback.drafts add constraint drafts_status_check
    check (status in ('waiting', 'approved', 'edited', 'rejected', 'withdrawn', 'unused'));
alter table feedback.reviews drop constraint reviews_decision_check;
alter table feedback.reviews add constraint reviews_decision_check
    check (decision in ('approved', 'edited', 'rejected', 'unused'));
alter table feedback.reviews
    add column mailbox text,
    add column edit_distance integer,
    add column words_changed integer,
    add column reasons text[] not null default '{}',
    add column reviewer text,
    add column seconds double precision;
update feedback.reviews set mailbox = data ->> 'mailbox',
    edit_distance = (data ->> 'edit_distance')::int, reviewer = data ->> 'reviewer',
    seconds = (data ->> 'seconds')::float,
    reasons = array(select jsonb_array_elements_text(data -> 'reasons'));
create index reviews_created on feedback.reviews (created);

-- What an agent typed and did before deciding; one per draft, under the lock.
create table feedback.edits (
    draft_id uuid primary key references feedback.drafts (draft_id) on delete cascade,
    account text not null,
    text text not null,
    -- passages that the agent added, as event data; ids of those called wrong
    added jsonb not null default '[]',
    wrong uuid[] not null default '{}',
    revision integer not null,
    updated timestamptz not null
);
create table feedback.locks (
    draft_id uuid primary key references feedback.drafts (draft_id) on delete cascade,
    account text not null,
    name text not null,
    since timestamptz not null,
    expires timestamptz not null
);

-- What became of each reply after approval, and of texts sent without one.
create table feedback.replies (
    reply_id uuid primary key,
    mail_id uuid not null references feedback.mails (mail_id) on delete cascade,
    draft_id uuid references feedback.drafts (draft_id) on delete set null,
    mailbox text not null,
    state text not null check (state in ('approved', 'sent', 'failed', 'doubtful')),
    approved timestamptz,
    settled timestamptz,
    message_id text not null default '',
    why text not null default '',
    text text,
    -- how the text that was sent compares with the draft
    comparison jsonb
);
create index replies_mail on feedback.replies (mail_id);
create index replies_state on feedback.replies (state, mailbox);

-- Every version of a document that was searchable; superseded ones stay readable.
create table feedback.document_versions (
    document_id uuid not null,
    submitted timestamptz not null,
    sha256 text not null,
    collection text not null,
    name text not null,
    title text not null,
    url text,
    audience text not null,
    media_type text not null,
    size bigint not null,
    original_key text not null,
    text_key text not null,
    chunks integer not null,
    indexed timestamptz not null,
    primary key (document_id, submitted, sha256)
);

create table feedback.sessions (
    token_sha256 bytea primary key,
    account text not null,
    csrf text not null,
    created timestamptz not null,
    expires timestamptz not null
);
create table feedback.login_links (
    token_sha256 bytea primary key,
    account text not null,
    expires timestamptz not null,
    used timestamptz
);

create table feedback.audit (
    position bigint generated always as identity primary key,
    at timestamptz not null default now(),
    account text not null,
    action text not null,
    object text not null default '',
    mailbox text,
    detail jsonb not null default '{}'
);
create function feedback.audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'feedback.audit is append-only';
end $$;
create trigger audit_append_only before update or delete or truncate on feedback.audit
    for each statement execute function feedback.audit_is_append_only();

create table feedback.datasets (
    version integer primary key,
    created timestamptz not null,
    account text not null,
    prefix text not null,
    manifest jsonb not null
);

-- Pages that follow along: each change is told on channel `feedback` as JSON.
create function feedback.tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('feedback', json_build_object('kind', tg_argv[0],
        'id', case tg_argv[0] when 'draft' then to_jsonb(new) ->> 'draft_id'
              when 'mail' then to_jsonb(new) ->> 'mail_id'
              when 'lock' then to_jsonb(new) ->> 'draft_id'
              else to_jsonb(new) ->> 'document_id' end,
        'mailbox', to_jsonb(new) ->> 'mailbox')::text);
    return null;
end $$;
create trigger drafts_tell after insert or update of status, outdated on feedback.drafts
    for each row execute function feedback.tell('draft');
create trigger mails_tell after insert or update of outcome on feedback.mails
    for each row execute function feedback.tell('mail');
create trigger documents_tell after insert or update on feedback.documents
    for each row execute function feedback.tell('document');
create trigger locks_tell after insert or update on feedback.locks
    for each row execute function feedback.tell('lock');

-- migrate:down
drop trigger drafts_tell on feedback.drafts;
drop trigger mails_tell on feedback.mails;
drop trigger documents_tell on feedback.documents;
drop table feedback.datasets, feedback.audit, feedback.login_links, feedback.sessions,
    feedback.document_versions, feedback.replies, feedback.locks, feedback.edits;
drop function feedback.tell(), feedback.audit_is_append_only();
drop index feedback.reviews_created;
alter table feedback.reviews drop column mailbox, drop column edit_distance,
    drop column words_changed, drop column reasons, drop column reviewer, drop column seconds;
drop index feedback.drafts_queue;
alter table feedback.drafts drop column category, drop column pipeline, drop column outdated;
drop index feedback.mails_list;
alter table feedback.mails drop column category, drop column language, drop column raw_key;
