-- migrate:up
-- Lists in the order of time over all mailboxes; counts from an index alone.
create index drafts_time on feedback.drafts (created, draft_id);
create index drafts_counts on feedback.drafts (status, outcome, mailbox, category);
create index mails_time on feedback.mails (outcome, received, mail_id);

-- For a search that knows neither case nor French accents.
create function feedback.folded(told text) returns text language sql immutable parallel safe as $$
    select translate(lower(told), 'àâäáãåéèêëíîïìóôöòõúûüùýÿçñ', 'aaaaaaeeeeiiiiooooouuuuyycn')
$$;

-- What changed, for pages that follow along: whose it is and what became of it, nothing of what a
-- message says.
create or replace function feedback.tell() returns trigger language plpgsql as $$
declare
    op text := lower(tg_op);
    told json;
    of_draft uuid;
begin
    case tg_argv[0]
    when 'draft' then
        told := json_build_object('kind', 'draft', 'op', op, 'id', new.draft_id,
            'mail', new.mail_id, 'mailbox', new.mailbox, 'status', new.status,
            'outcome', new.outcome, 'request', new.request_id);
    when 'mail' then
        told := json_build_object('kind', 'mail', 'op', op, 'id', new.mail_id,
            'mailbox', new.mailbox, 'status', new.outcome);
    when 'reply' then
        told := json_build_object('kind', 'reply', 'op', op, 'id', new.draft_id,
            'mail', new.mail_id, 'mailbox', new.mailbox, 'status', new.state);
    when 'lock' then
        if tg_op = 'DELETE' then of_draft := old.draft_id; else of_draft := new.draft_id; end if;
        select json_build_object('kind', 'lock', 'op', op, 'id', of_draft, 'mailbox', d.mailbox)
            into told from feedback.drafts d where d.draft_id = of_draft;
    else
        told := json_build_object('kind', 'document', 'op', op, 'id', new.document_id,
            'audience', new.audience, 'status', to_jsonb(new) ->> 'state');
    end case;
    if told is not null then
        perform pg_notify('feedback', told::text);
    end if;
    return null;
end $$;

-- migrate:down
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
drop function feedback.folded(text);
drop index feedback.mails_time, feedback.drafts_counts, feedback.drafts_time;
